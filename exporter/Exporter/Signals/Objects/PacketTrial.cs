using Exporter.Bpf;

namespace Exporter.Signals.Objects;

/// <summary>Whether an object's programs can be trusted with packets: loaded on maps of their own, where nothing else sees them.</summary>
internal static class PacketTrial
{
    /// <exception cref="BpfException">The kernel refuses it, or it does not let a packet pass.</exception>
    /// <param name="plans">The maps that the object is to have, which are made as small as they can be here.</param>
    internal static void Run(byte[] elf, IReadOnlyList<MapSetPlan> plans)
    {
        using var packets = PacketObject.Load([.. plans.Select(plan => plan with { MaxEntries = plan.MaxEntries.Keys.ToDictionary(map => map, _ => 1) })], elf: elf);
        foreach (var program in packets.Programs)
        {
            ProgramTrial.Run(program, ProgramTrial.TcNext);
        }
    }
}
