using Exporter.Bpf;
using Exporter.Bpf.Native;

namespace Exporter.Signals.Objects;

/// <summary>Whether an object's programs can be trusted with packets: loaded on maps of their own, where nothing else sees them.</summary>
internal static class PacketTrial
{
    /// <summary>TCX_NEXT, which is TC_ACT_UNSPEC: the packet continues.</summary>
    private const int Next = -1;

    /// <summary>Nothing after the Ethernet header, and IPv4 and IPv6 with nothing but zeros in them.</summary>
    private static readonly byte[][] Packets = [Packet(14, 0), Packet(64, 0x0806), Packet(64, 0x0800), Packet(64, 0x86dd), Packet(1500, 0x0800)];

    /// <exception cref="BpfException">The kernel refuses it, or it does not let a packet pass.</exception>
    /// <param name="plans">The maps that the object is to have, which are made as small as they can be here.</param>
    internal static void Run(byte[] elf, IReadOnlyList<MapSetPlan> plans)
    {
        using var packets = PacketObject.Load([.. plans.Select(plan => plan with { MaxEntries = plan.MaxEntries.Keys.ToDictionary(map => map, _ => 1) })], elf: elf);
        foreach (var program in packets.Programs)
        {
            foreach (var packet in Packets)
            {
                var (result, _) = program.TestRun(packet);
                if (result != Next)
                {
                    throw new BpfException($"use the program {program.Name}: it returns {result} for a packet of {packet.Length} bytes, where only {Next} lets it pass", Errno.EINVAL);
                }
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
