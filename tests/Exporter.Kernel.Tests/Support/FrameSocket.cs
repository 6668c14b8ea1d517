using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Sends whole Ethernet frames out of an interface (packet(7)).</summary>
internal sealed class FrameSocket : IDisposable
{
    private readonly Socket _socket;

    private FrameSocket(Socket socket) => _socket = socket;

    internal static FrameSocket Open(NetworkNamespace? ns, string device)
    {
        FrameSocket Create()
        {
            var socket = new Socket(AddressFamily.Packet, SocketType.Raw, 0);
            socket.Bind(new LinkLayerEndPoint(ns is null ? IfindexOf(device) : int.Parse(
                ns.Ip($"-o link show dev {device}").Split(':')[0], CultureInfo.InvariantCulture)));
            return new FrameSocket(socket);
        }
        return ns is null ? Create() : ns.Run(Create);
    }

    internal void Send(byte[] frame) => _socket.Send(frame);

    /// <summary>Returns false where the interface has no room for the frame (ENOBUFS): it has not been sent.</summary>
    internal bool TrySend(byte[] frame)
    {
        try
        {
            _socket.Send(frame);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.NoBufferSpaceAvailable)
        {
            return false;
        }
    }

    public void Dispose() => _socket.Dispose();

    internal static int IfindexOf(string device) =>
        int.Parse(File.ReadAllText($"/sys/class/net/{device}/ifindex"), CultureInfo.InvariantCulture);

    /// <summary>struct sockaddr_ll.</summary>
    /// <param name="protocol">Of the frames that are received; 0: none.</param>
    internal sealed class LinkLayerEndPoint(int ifindex, ushort protocol = 0) : EndPoint
    {
        private const int Length = 20;

        public override AddressFamily AddressFamily => AddressFamily.Packet;

        public override SocketAddress Serialize()
        {
            var address = new SocketAddress(AddressFamily.Packet, Length);
            BinaryPrimitives.WriteUInt16BigEndian(address.Buffer.Span[2..], protocol);
            BinaryPrimitives.WriteInt32LittleEndian(address.Buffer.Span[4..], ifindex);
            return address;
        }
    }
}

/// <summary>Frames that ordinary sockets do not send.</summary>
internal static class CraftedFrames
{
    private static readonly byte[] Ipv4Type = [0x08, 0x00];
    private static readonly byte[] CustomerTag = [0x81, 0x00, 0x00, 0x2a];
    private static readonly byte[] ServiceTag = [0x88, 0xa8, 0x00, 0x07];

    /// <summary>To an address of nobody's, so that nobody answers.</summary>
    internal static IReadOnlyList<byte[]> All(Pod pod) =>
    [
        Frame([.. CustomerTag, .. Ipv4Type], Ipv4(pod, 17, new byte[30])),
        Frame([.. ServiceTag, .. CustomerTag, .. Ipv4Type], Ipv4(pod, 17, new byte[300])),
        Frame(Ipv4Type, Ipv4(pod, 132, new byte[40])),
        Frame(Ipv4Type, Ipv4(pod, 50, new byte[600])),
        Frame([0x88, 0xcc], new byte[60]),
    ];

    private static byte[] Frame(byte[] type, byte[] payload) =>
        [0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x02, 0x66, 0x77, 0x88, 0x99, 0xaa, .. type, .. payload];

    private static byte[] Ipv4(Pod pod, byte protocol, byte[] payload)
    {
        var length = 20 + payload.Length;
        byte[] header =
        [
            0x45, 0, (byte)(length >> 8), (byte)length, 0, 0, 0, 0, 64, protocol, 0, 0,
            .. pod.Address.GetAddressBytes(), .. pod.HostAddress.GetAddressBytes(),
        ];
        return [.. header, .. payload];
    }
}
