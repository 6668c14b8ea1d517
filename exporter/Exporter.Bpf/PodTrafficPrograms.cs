using Exporter.Bpf.Contract;
using Exporter.Bpf.Tc;

namespace Exporter.Bpf;

/// <summary>bpf/tc/pod_traffic.bpf.c, loaded: the two programs and what they count.</summary>
public sealed class PodTrafficPrograms : IDisposable
{
    private readonly BpfObject _object;

    private PodTrafficPrograms(BpfObject loaded)
    {
        _object = loaded;
        Transmit = loaded.Program("podnet_transmit");
        Receive = loaded.Program("podnet_receive");
        Traffic = new(loaded.Map("traffic_active"), loaded.Map("traffic_a"), loaded.Map("traffic_b"));
        Losses = new(loaded.Map("traffic_losses"));
    }

    /// <summary>For TC ingress: what comes out of the pod.</summary>
    public BpfProgram Transmit { get; }

    /// <summary>For TC egress: what goes into the pod.</summary>
    public BpfProgram Receive { get; }

    public BpfProgram For(TcDirection direction) => direction == TcDirection.Ingress ? Transmit : Receive;

    public DoubleBufferedMap<TrafficKey, TrafficValue> Traffic { get; }

    /// <summary>Indexed by <see cref="LossReason"/>.</summary>
    public PerCpuArray<Loss> Losses { get; }

    /// <param name="maxInterfaces">How many interfaces can have traffic between two drains; about 1 KiB of kernel memory each, for every CPU.</param>
    /// <exception cref="BpfException">The kernel refused it.</exception>
    public static PodTrafficPrograms Load(int maxInterfaces)
    {
        var opened = BpfObject.OpenEmbedded("pod_traffic");
        try
        {
            opened.SetMaxEntries("traffic_a", maxInterfaces);
            opened.SetMaxEntries("traffic_b", maxInterfaces);
            opened.Load();
            return new PodTrafficPrograms(opened);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    public void Dispose() => _object.Dispose();
}
