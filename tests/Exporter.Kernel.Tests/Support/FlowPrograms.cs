using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Signals.Flows;
using Exporter.Signals.Objects;
using Exporter.Signals.Traffic;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The packet programs, loaded with the maps of traffic and of flows.</summary>
internal sealed class FlowPrograms : IDisposable
{
    private readonly PacketObject _packets;
    private readonly LoadedTraffic _traffic;

    private FlowPrograms(PacketObject packets, FlowOptions options, int maxInterfaces, Func<int, bool> isCommitted, PinDirectory? pins) =>
        (_packets, _traffic, Loaded) = (packets, new(packets, isCommitted), new(packets, options, maxInterfaces, isCommitted, pins));

    internal LoadedFlows Loaded { get; }

    internal ProgramPair Pair => _packets.Pair;

    internal BpfProgram Transmit => Pair.Ingress;

    internal BpfProgram Receive => Pair.Egress;

    internal DoubleBufferedMap<FlowKey, FlowValue> Flows => Loaded.Flows!.Current;

    internal DoubleBufferedMap<TrafficKey, TrafficValue> Traffic => _traffic.Traffic.Current;

    internal static FlowPrograms Load(FlowOptions options, int maxInterfaces, PinDirectory? pins = null, Func<int, bool>? isCommitted = null) =>
        new(PacketObject.Load([LoadedTraffic.Plan(maxInterfaces), LoadedFlows.Plan(options, maxInterfaces)!], pins), options, maxInterfaces, isCommitted ?? (_ => false), pins);

    public void Dispose() => _packets.Dispose();
}
