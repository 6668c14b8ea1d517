using System.Text;

namespace Exporter.Tests.Support;

/// <summary>Netlink messages byte by byte, as linux/netlink.h and linux/rtnetlink.h lay them out, in the machine's order.</summary>
internal static class NetlinkBytes
{
    internal static byte[] Message(ushort type, ushort flags, uint sequence, byte[] payload)
    {
        var header = new byte[16];
        BitConverter.TryWriteBytes(header, 16 + payload.Length);
        BitConverter.TryWriteBytes(header.AsSpan(4), type);
        BitConverter.TryWriteBytes(header.AsSpan(6), flags);
        BitConverter.TryWriteBytes(header.AsSpan(8), sequence);
        return Padded([.. header, .. payload]);
    }

    /// <summary>struct ifinfomsg: family, padding, type, index, flags, change.</summary>
    internal static byte[] IfInfo(byte family, int ifindex) =>
        [family, 0, 1, 0, .. BitConverter.GetBytes(ifindex), .. BitConverter.GetBytes(0x1043), .. BitConverter.GetBytes(0)];

    /// <summary>struct ifaddrmsg: family, prefix length, flags, scope, index.</summary>
    internal static byte[] IfAddr(byte family, int ifindex) => [family, 24, 0x80, 0, .. BitConverter.GetBytes(ifindex)];

    internal static byte[] Attribute(int type, params byte[] value)
    {
        var header = new byte[4];
        BitConverter.TryWriteBytes(header, (ushort)(4 + value.Length));
        BitConverter.TryWriteBytes(header.AsSpan(2), (ushort)type);
        return Padded([.. header, .. value]);
    }

    internal static byte[] Attribute(int type, string value) => Attribute(type, [.. Encoding.UTF8.GetBytes(value), 0]);

    internal static byte[] Attribute(int type, int value) => Attribute(type, BitConverter.GetBytes(value));

    /// <summary>Claims another length than it has.</summary>
    internal static byte[] WithLength(byte[] attribute, ushort length)
    {
        BitConverter.TryWriteBytes(attribute, length);
        return attribute;
    }

    private static byte[] Padded(byte[] bytes) => [.. bytes, .. new byte[((bytes.Length + 3) & ~3) - bytes.Length]];
}
