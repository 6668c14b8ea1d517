using Exporter.Bpf;
using Exporter.Bpf.Attach;

namespace Exporter.Signals.Objects;

/// <summary>
/// bpf/tc/pod_traffic.bpf.c, loaded: the programs that see each packet of a pod, with the maps of all signals that they count. A packet is parsed once,
/// whatever is counted of it.
/// </summary>
internal sealed class PacketObject : IReplaceable, IDisposable
{
    internal const string ObjectName = "pod_traffic";

    private readonly LoadedObject _object;
    private readonly IReadOnlyList<MapSetPlan> _plans;

    private PacketObject(LoadedObject loaded, IReadOnlyList<MapSetPlan> plans)
    {
        (_object, _plans) = (loaded, plans);
        Pair = new(loaded.Current, "podnet_transmit", "podnet_receive");
    }

    public string Name => ObjectName;

    public IReadOnlyList<BpfProgram> Programs => Pair.Programs;

    /// <summary>For TC ingress of the host's end: packets that the pod transmits; for TC egress: packets that it receives.</summary>
    internal ProgramPair Pair { get; }

    /// <summary>The maps of a kind.</summary>
    internal MapGenerations this[string kind] => _object[kind];

    /// <param name="plans">The sets of maps that signals have in it.</param>
    /// <param name="pins">Where the maps are pinned, and found again; null: they end with the process.</param>
    /// <param name="elf">The object's content; null: the embedded one.</param>
    /// <exception cref="BpfException">The kernel refused it.</exception>
    internal static PacketObject Load(IReadOnlyList<MapSetPlan> plans, PinDirectory? pins = null, byte[]? elf = null)
    {
        var loaded = LoadedObject.Load(ObjectName, plans, pins, elf: elf);
        try
        {
            return new(loaded, plans);
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    public async Task ReplaceAsync(byte[] elf, IInterfacePrograms attached, CancellationToken cancellationToken)
    {
        await Task.Run(() => PacketTrial.Run(elf, _plans), cancellationToken);
        await attached.ReplaceAsync(this, elf, cancellationToken);
    }

    /// <summary>Has another object's programs take the place of these, once they are attached in their place (<see cref="TcAttachment.Renew"/>).</summary>
    /// <returns>The previous object, which its attached programs outlive; to be put back with <see cref="Replace(BpfObject)"/>, or disposed.</returns>
    /// <exception cref="BpfException">The kernel refused it, or it has other programs or maps; nothing has changed.</exception>
    internal BpfObject Replace(byte[] elf)
    {
        var next = _object.LoadNext(elf);
        try
        {
            return Replace(next);
        }
        catch
        {
            next.Dispose();
            throw;
        }
    }

    /// <inheritdoc cref="Replace(byte[])"/>
    internal BpfObject Replace(BpfObject next)
    {
        Pair.Replace(next);
        return _object.Replace(next);
    }

    public void Dispose() => _object.Dispose();
}
