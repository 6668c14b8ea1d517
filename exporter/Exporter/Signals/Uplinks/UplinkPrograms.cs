using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Native;
using Exporter.Signals.Objects;

namespace Exporter.Signals.Uplinks;

/// <summary>bpf/xdp/uplink.bpf.c, loaded, with its maps and the ways to attach it. Owns them; attached programs outlive it where they are pinned.</summary>
internal sealed class UplinkPrograms : IDisposable
{
    internal const string ObjectName = "uplink";

    private const string MapKind = "uplinks";
    private const string SlotsMap = "uplink_slots";
    private const string PinPrefix = "uplink_";
    private const string XdpLinksPart = "uplink_xdp_links";
    private const string XdpProgram = "podnet_uplink_xdp";
    private const string FragsProgram = "podnet_uplink_frags";
    private const string InProgram = "podnet_uplink_in";
    private const string OutProgram = "podnet_uplink_out";

    private static readonly MapSetPlan Plan = new(MapKind, new("", UplinkValue.Fields.Names), [MapKind, SlotsMap], new Dictionary<string, int>());

    private readonly LoadedObject _object;
    private readonly MapGenerations _maps;

    private UplinkPrograms(LoadedObject loaded, bool hasFrags, LoadContext context)
    {
        (_object, _maps, HasFrags) = (loaded, loaded[MapKind], hasFrags);
        Pair = new(loaded.Current, InProgram, OutProgram, PinPrefix);
        Receive = loaded.Current.Program(Used(hasFrags));
        Tc = context.AttachTc(Pair);
        Xdp = new(context.Pins, XdpLinksPart);
        Values = [.. _maps.Previous.Prepend(_maps.Current).Select(maps => new PerCpuRows(maps[MapKind], maps.Layout, UplinkValue.Fields))];
        Slots = new(_maps.Current[SlotsMap]);
        ContinueSlots();
    }

    /// <summary>For TC ingress: frames that arrive; for TC egress: frames that leave.</summary>
    internal ProgramPair Pair { get; }

    /// <summary>For XDP.</summary>
    internal BpfProgram Receive { get; private set; }

    /// <summary>Whether the program for XDP takes frames of several parts, as those above a page are: Linux 5.18.</summary>
    internal bool HasFrags { get; }

    internal TcAttacher Tc { get; }

    internal XdpAttacher Xdp { get; }

    /// <summary>The maps with counts: the one that the programs count into, and then those of versions that were laid out otherwise.</summary>
    internal IReadOnlyList<PerCpuRows> Values { get; private set; }

    internal ArrayMap<UplinkSlots> Slots { get; }

    internal IReadOnlyList<BpfProgram> All => [.. Pair.Programs, Receive];

    /// <exception cref="BpfException">The kernel refused it.</exception>
    internal static UplinkPrograms Load(LoadContext context)
    {
        try
        {
            return Load(context, hasFrags: true);
        }
        catch (BpfException e) when (e.ErrorNumber != Errno.ENOMEM)
        {
            return Load(context, hasFrags: false);
        }
    }

    /// <summary>Whether a process has left something of it.</summary>
    internal static bool HasPinned(PinDirectory pins) => FindPinned(pins).Any();

    /// <summary>Removes everything that is pinned of it, once its programs are detached.</summary>
    internal static void RemovePinned(PinDirectory pins)
    {
        foreach (var name in FindPinned(pins).ToList())
        {
            pins.Remove(name);
        }
    }

    /// <summary>The maps of other versions were read to their ends.</summary>
    internal void RemovePrevious()
    {
        _maps.RemovePrevious();
        Values = [Values[0]];
    }

    /// <summary>Loads another object on the same maps, and tries it. <see cref="Replace"/> puts it in the place of this one.</summary>
    /// <exception cref="BpfException">The kernel refuses it, or it does not let a frame pass.</exception>
    internal BpfObject LoadNext(byte[] elf)
    {
        var next = _object.LoadNext(elf, opened => opened.Omit(Used(!HasFrags)));
        try
        {
            ProgramTrial.Run(next.Program(Used(HasFrags)), ProgramTrial.XdpPass);
            ProgramTrial.Run(next.Program(InProgram), ProgramTrial.TcNext);
            ProgramTrial.Run(next.Program(OutProgram), ProgramTrial.TcNext);
            return next;
        }
        catch
        {
            next.Dispose();
            throw;
        }
    }

    /// <summary>Has another object's programs take the place of these, once attached programs are renewed.</summary>
    /// <returns>The previous object, owned by the caller.</returns>
    internal BpfObject Replace(BpfObject next)
    {
        Pair.Replace(next);
        Receive = next.Program(Used(HasFrags));
        return _object.Replace(next);
    }

    public void Dispose()
    {
        (Tc as IDisposable)?.Dispose();
        _object.Dispose();
    }

    private static UplinkPrograms Load(LoadContext context, bool hasFrags)
    {
        var loaded = LoadedObject.Load(ObjectName, [Plan], context.Pins, opened => opened.Omit(Used(!hasFrags)));
        try
        {
            return new(loaded, hasFrags, context);
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    /// <summary>Maps, links and programs are all pinned under names that begin with the object's.</summary>
    private static IEnumerable<string> FindPinned(PinDirectory pins) => pins.List().Where(name => name.StartsWith(ObjectName, StringComparison.Ordinal));

    /// <summary>Of the two programs for XDP one is loaded.</summary>
    private static string Used(bool hasFrags) => hasFrags ? FragsProgram : XdpProgram;

    /// <summary>Maps of another version say which interfaces it has counted.</summary>
    private void ContinueSlots()
    {
        if (_maps.Current.IsAdopted || _maps.Previous.Count == 0)
        {
            return;
        }
        try
        {
            Slots.Write(0, new ArrayMap<UplinkSlots>(_maps.Previous[0][SlotsMap]).Read(0));
        }
        catch (BpfException e) when (e.ErrorNumber == Errno.EINVAL)
        {
            // Laid out otherwise: the interfaces get slots as new ones do.
        }
    }
}
