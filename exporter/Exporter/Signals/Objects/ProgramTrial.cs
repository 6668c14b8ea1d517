using Exporter.Bpf;
using Exporter.Bpf.Native;

namespace Exporter.Signals.Objects;

/// <summary>Whether a program can be trusted with packets: run on made-up ones, which no interface has.</summary>
internal static class ProgramTrial
{
    /// <summary>TCX_NEXT, which is TC_ACT_UNSPEC: the packet continues.</summary>
    internal const int TcNext = -1;

    /// <summary>XDP_PASS: the frame continues.</summary>
    internal const int XdpPass = 2;

    /// <summary>Nothing after the Ethernet header, a tag without an end, and ARP, IPv4 and IPv6 with nothing but zeros in them.</summary>
    private static readonly byte[][] Packets = [Packet(14, 0), Packet(60, 0x8100), Packet(64, 0x0806), Packet(64, 0x0800), Packet(64, 0x86dd), Packet(1500, 0x0800)];

    /// <param name="verdict">The return value that lets a packet pass.</param>
    /// <exception cref="BpfException">It does not let a packet pass.</exception>
    internal static void Run(BpfProgram program, int verdict)
    {
        foreach (var packet in Packets)
        {
            var (result, _) = program.TestRun(packet);
            if (result != verdict)
            {
                throw new BpfException($"use the program {program.Name}: it returns {result} for a packet of {packet.Length} bytes, where only {verdict} lets it pass", Errno.EINVAL);
            }
        }
    }

    private static byte[] Packet(int length, int etherType)
    {
        var packet = new byte[length];
        (packet[12], packet[13]) = ((byte)(etherType >> 8), (byte)etherType);
        return packet;
    }
}
