using Exporter.Bpf.Contract;
using Exporter.Bpf.Netlink;
using Exporter.Bpf.Tc;

namespace Exporter.Bpf;

/// <summary>
/// bpf/tc/pod_traffic.bpf.c, loaded: the two programs, and the maps that they count into. Programs can be replaced by others on the same maps.
/// </summary>
public sealed class PodTrafficPrograms : IDisposable
{
    /// <summary>The object's name.</summary>
    public const string ObjectName = "pod_traffic";

    private const string MapKind = "traffic";

    private static readonly string[] MapNames = ["traffic_active", "traffic_a", "traffic_b", "traffic_losses"];

    private readonly MapSet _maps;
    private readonly List<MapSet> _formerMaps = [];
    private readonly List<DoubleBufferedMap<TrafficKey, TrafficValue>> _former = [];
    private BpfObject _object;

    private PodTrafficPrograms(BpfObject loaded, MapSet maps, Func<int, bool> kept)
    {
        _maps = maps;
        Traffic = OpenTraffic(maps, maps.IsAdopted ? kept : null);
        Losses = new(maps["traffic_losses"]);
        (_object, Programs) = (loaded, Find(loaded));
        foreach (var former in maps.OpenFormer(MapKind))
        {
            _formerMaps.Add(former);
            _former.Add(OpenTraffic(former, kept));
            AddLosses(new(former["traffic_losses"]));
        }
    }

    /// <summary>The two; another list when they are replaced.</summary>
    public IReadOnlyList<BpfProgram> Programs { get; private set; }

    /// <summary>For TC ingress: what comes out of the pod.</summary>
    public BpfProgram Transmit => Programs[0];

    /// <summary>For TC egress: what goes into the pod.</summary>
    public BpfProgram Receive => Programs[1];

    public DoubleBufferedMap<TrafficKey, TrafficValue> Traffic { get; }

    /// <summary>What programs of an earlier process may still count into, until these have taken their place.</summary>
    public IReadOnlyList<DoubleBufferedMap<TrafficKey, TrafficValue>> Former => _former;

    /// <summary>What the pairs of maps are known by.</summary>
    public IEnumerable<int> Pairs => [Traffic.Pair, .. _former.Select(former => former.Pair)];

    /// <summary>Indexed by <see cref="LossReason"/>.</summary>
    public PerCpuArray<Loss> Losses { get; }

    public BpfProgram For(TcDirection direction) => direction == TcDirection.Ingress ? Transmit : Receive;

    /// <param name="maxInterfaces">How many interfaces can have traffic between two drains; about 1 KiB of kernel memory each, for every CPU.</param>
    /// <param name="pins">Where the maps are pinned, and found again; null: they end with the process.</param>
    /// <param name="kept">Whether an earlier process has kept what is in the map of this id.</param>
    /// <param name="elf">The object; null: the one that is embedded.</param>
    /// <exception cref="BpfException">The kernel refused it.</exception>
    public static PodTrafficPrograms Load(int maxInterfaces, PinDirectory? pins = null, Func<int, bool>? kept = null, byte[]? elf = null)
    {
        var opened = elf is null ? BpfObject.OpenEmbedded(ObjectName) : BpfObject.Open(ObjectName, elf);
        MapSet? maps = null;
        try
        {
            opened.SetMaxEntries("traffic_a", maxInterfaces);
            opened.SetMaxEntries("traffic_b", maxInterfaces);
            maps = MapSet.Load(opened, pins, MapKind, TrafficValue.LayoutOf(maxInterfaces), MapNames);
            return new PodTrafficPrograms(opened, maps, kept ?? (_ => false));
        }
        catch
        {
            maps?.Dispose();
            opened.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Has another object's programs take the place of these, once they are attached in their place (<see cref="TcAttachment.Renew"/>).
    /// </summary>
    /// <returns>The former object, which its attached programs outlive; to be put back by this method, or disposed.</returns>
    /// <exception cref="BpfException">The kernel refused it, or it is none of this kind; nothing has changed.</exception>
    public BpfObject Replace(byte[] elf)
    {
        var opened = BpfObject.Open(ObjectName, elf);
        try
        {
            _maps.Load(opened);
            return Replace(opened);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>As the other, with an object that was loaded by it.</summary>
    public BpfObject Replace(BpfObject loaded)
    {
        var former = _object;
        (_object, Programs) = (loaded, Find(loaded));
        return former;
    }

    /// <summary>Gives up what an earlier process has left: its programs are replaced, and what they counted is read.</summary>
    public void RemoveFormer()
    {
        _formerMaps.ForEach(maps => maps.Remove());
        _formerMaps.Clear();
        _former.Clear();
    }

    public void Dispose()
    {
        _object.Dispose();
        _maps.Dispose();
        _formerMaps.ForEach(maps => maps.Dispose());
    }

    private static DoubleBufferedMap<TrafficKey, TrafficValue> OpenTraffic(MapSet maps, Func<int, bool>? kept) => new(
        maps["traffic_active"], maps["traffic_a"], maps["traffic_b"], kept, TrafficValue.LayoutOf(0).Find(maps.Layout));

    private static BpfProgram[] Find(BpfObject loaded) => [loaded.Program("podnet_transmit"), loaded.Program("podnet_receive")];

    /// <summary>The new maps go on from where the former are.</summary>
    private void AddLosses(PerCpuArray<Loss> former)
    {
        if (_maps.IsAdopted)
        {
            // Then an earlier process has done so, and was ended before it removed them.
            return;
        }
        foreach (var reason in Enum.GetValues<LossReason>())
        {
            var (own, other) = (Losses.Read((int)reason), former.Read((int)reason));
            Losses.Write((int)reason, new(own.Packets + other.Packets, own.Bytes + other.Bytes));
        }
    }
}
