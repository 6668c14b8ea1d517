using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Signals;
using Exporter.Signals.Objects;
using Exporter.Signals.Traffic;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The packet programs, loaded with the maps of traffic alone.</summary>
internal sealed class TrafficPrograms : IDisposable
{
    private TrafficPrograms(PacketObject packets, Func<int, bool> isCommitted) => (Object, Loaded) = (packets, new(packets, isCommitted));

    internal PacketObject Object { get; }

    internal LoadedTraffic Loaded { get; }

    internal ProgramPair Pair => Object.Pair;

    internal IReadOnlyList<BpfProgram> Programs => Object.Programs;

    internal BpfProgram Transmit => Pair.Ingress;

    internal BpfProgram Receive => Pair.Egress;

    internal DoubleBufferedMap<TrafficKey, TrafficValue> Traffic => Loaded.Traffic.Current;

    internal PerCpuArray<Loss> Losses => Loaded.Losses;

    internal static TrafficPrograms Load(int maxInterfaces, PinDirectory? pins = null, Func<int, bool>? isCommitted = null, byte[]? elf = null) =>
        new(PacketObject.Load([LoadedTraffic.Plan(maxInterfaces)], pins, elf), isCommitted ?? (_ => false));

    public void Dispose() => Object.Dispose();
}
