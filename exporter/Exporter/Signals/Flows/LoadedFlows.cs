using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Metrics;
using Exporter.Records;
using Exporter.Signals.Objects;
using Exporter.State;

namespace Exporter.Signals.Flows;

/// <summary>The maps that the packet programs count flows into; none of them is there where flows are off.</summary>
internal sealed partial class LoadedFlows : LoadedSignal
{
    internal const string MapKind = "flows";

    private const string SettingsSection = ".rodata.flows";

    private readonly LastInterval _last = new();

    private readonly ILedgerMemory _memory;

    /// <summary>Of the host's network namespace; null: flows are off.</summary>
    private readonly LinkClient? _links;

    /// <summary>Of the flow table: it is made by the first session; null: there was none.</summary>
    private FlowSlots? _slots;

    /// <param name="options">Of the start of the process.</param>
    /// <param name="pins">Null: nothing is pinned.</param>
    internal LoadedFlows(PacketObject packets, FlowOptions options, int maxInterfaces, Func<int, bool> isCommitted, PinDirectory? pins = null)
    {
        Limits = new(options, maxInterfaces);
        _memory = pins is null ? new OwnMemory() : new PinnedMemory(pins, FlowSlots.PinsBeginning);
        if (!options.IsOn)
        {
            // Later their rows would be of interfaces that other pods have by then.
            if (pins is not null)
            {
                MapSet.RemoveAll(pins, MapKind);
            }
            RemoveTable();
            return;
        }
        MaxFlows = options.MaxFlows;
        Jiffies = KernelJiffies.Load(TimeProvider.System);
        Conntrack = new(TimeProvider.System);
        _links = new();
        Flows = new(packets[MapKind], MapKind, FlowValue.Fields, isCommitted, rereads: true);
        MadeAt = packets[MapKind] is { Current.IsAdopted: false, Previous.Count: 0 } ? FlowClock.SteadyNow(TimeProvider.System) : null;
        Flows.Current.FirstRow = Limits.MakeRow;
        Flows.Current.EnsureFirstRow();
    }

    internal override bool IsCounting => Flows is not null;

    /// <summary>Null: flows are off.</summary>
    internal SignalMaps<FlowKey, FlowValue>? Flows { get; }

    internal FlowLimits Limits { get; }

    internal int MaxFlows { get; }

    /// <summary>When the first maps were made, by the steady clock: nothing was counted before, whatever intervals there were. Null: by an earlier process.</summary>
    internal DateTimeOffset? MadeAt { get; }

    /// <summary>Null: flows are off.</summary>
    internal KernelJiffies? Jiffies { get; }

    /// <summary>Null: flows are off.</summary>
    internal ConntrackClient? Conntrack { get; }

    internal override IEnumerable<int> Pairs => Flows?.Pairs ?? [];

    internal override IReadOnlyList<MapUsage> Maps => Flows is { } flows ? [new(MapKind, flows.Current.MaxEntries, () => flows.Current.Entries)] : [];

    /// <summary>The set of maps with room for so many flows, two rows for each interface and one for the map; 0.5 KiB of kernel memory each.</summary>
    /// <returns>Null: flows are off.</returns>
    internal static MapSetPlan? Plan(FlowOptions options, int maxInterfaces)
    {
        if (!options.IsOn)
        {
            return null;
        }
        var settings = new FlowSettings(IsOn: 1, Sampling: (uint)options.Sampling);
        // Records say which share of the flows was counted: by the option, so maps have counts of one value of it alone.
        var sampling = options.Sampling == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $",sampling={options.Sampling}");
        return MapSetPlan.OfPair(
            MapKind,
            new($"flows={options.MaxFlows},interfaces={maxInterfaces}{sampling}", FlowValue.Fields.Names),
            options.MaxFlows + (2 * maxInterfaces) + 1) with
        {
            Constants = (SettingsSection, MemoryMarshal.AsBytes(new ReadOnlySpan<FlowSettings>(in settings)).ToArray()),
        };
    }

    internal override IReadOnlyList<(string Name, string Text)> CheckLines =>
    [
        ("flows", Flows is { } flows ? string.Create(null, $"on, room for {MaxFlows} in an interval") : "off"),
        .. Conntrack is { } conntrack ? [("", $"backends of Services: {DescribeConntrack(conntrack)}")] : (IEnumerable<(string, string)>)[],
    ];

    internal override SignalPage? Page => Flows is null ? null : new("flows", "application/x-ndjson; charset=utf-8", () => _last.Lines);

    /// <summary>Asks conntrack, which is there with flows.</summary>
    internal ConntrackResult FindBackend(in FlowKey key, Span<byte> backend, out ushort port) =>
        Conntrack!.Find(key.Protocol, key.LocalBytes, key.LocalPortNumber, key.RemoteBytes, key.RemotePortNumber, backend, out port);

    /// <summary>The node's addresses, for a session.</summary>
    internal NodeAddresses MakeNodeAddresses(SessionContext context) =>
        new(context.Node, () => _links!.GetAddresses(), name => _links!.GetLink(name), context.Logging.CreateLogger<NodeAddresses>());

    private static string DescribeConntrack(ConntrackClient conntrack)
    {
        try
        {
            // A connection that cannot be there.
            Span<byte> backend = stackalloc byte[4];
            return conntrack.Find(IpProtocol.Tcp, [127, 0, 0, 1], 1, [127, 0, 0, 1], 1, backend, out _) switch
            {
                ConntrackResult.NoModule => "not known, the kernel has no nf_conntrack_netlink",
                ConntrackResult.Refused => "not known, conntrack may not be asked without CAP_NET_ADMIN",
                _ => "by conntrack",
            };
        }
        catch (NetlinkException e)
        {
            return $"not known, conntrack cannot be asked: {e.Message}";
        }
    }

    internal override SignalDrain? Open(Signal signal, SessionContext context)
    {
        if (Flows is null)
        {
            return null;
        }
        var flows = (FlowSignal)signal;
        var book = new FlowBook(context.Ledger, flows.Export.Sinks);
        var shaper = flows.MakeShaper();
        var observer = new RecordObserver(BytesOf(book.Epoch), context.Node, context.Cluster) { Salt = shaper.Addresses == AddressPolicy.Full ? default : BytesOf(book.Salt) };
        return new FlowDrain(this, flows.Options, book, new(flows.Export, shaper.Fields, book, observer, context), observer, shaper, _last, context);
    }

    private static byte[] BytesOf(UInt128 number)
    {
        var bytes = new byte[RecordObserver.EpochLength];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, number);
        return bytes;
    }

    /// <summary>The flow table, as the last session or process has left it. For one session after the other.</summary>
    internal FlowTable OpenTable(FlowBook book, SessionContext context)
    {
        var logger = context.Logging.CreateLogger<FlowTable>();
        _slots ??= OpenSlots(book, context, logger);
        var table = new FlowTable(_slots, book.Interval, Limits);
        if (table.Forgotten > 0)
        {
            LogForgotten(logger, table.Count, table.Forgotten, table.Torn);
        }
        return table;
    }

    /// <summary>The maps are the object's.</summary>
    public override void Dispose()
    {
        Jiffies?.Dispose();
        Conntrack?.Dispose();
        _links?.Dispose();
        _slots?.Dispose();
    }

    private FlowSlots OpenSlots(FlowBook book, SessionContext context, ILogger logger)
    {
        var (room, now) = (2 * MaxFlows, FlowClock.SteadyNow(context.Time));
        try
        {
            return FlowSlots.Open(_memory, room, book.Epoch, book.Interval, now);
        }
        catch (BpfException e)
        {
            LogUnpinned(logger, e.Message);
            RemoveTable();
            return FlowSlots.Open(new OwnMemory(), room, book.Epoch, book.Interval, now);
        }
    }

    /// <summary>A table that is not continued would have old flows when it is found again.</summary>
    private void RemoveTable()
    {
        try
        {
            FlowSlots.Remove(_memory);
        }
        catch (BpfException)
        {
            // The next start tries it again.
        }
    }

    [LoggerMessage(520, LogLevel.Warning, "The flow table is not pinned, so a restart forgets which end began a flow; give the kernel more memory, or lower Flows:MaxFlows: {Reason}")]
    private static partial void LogUnpinned(ILogger logger, string reason);

    [LoggerMessage(521, LogLevel.Warning, "The flow table of the previous run continues with {Count} flows; {Forgotten} are unknown from now on, {Torn} of them since a killed process had stored half, the others for want of room")]
    private static partial void LogForgotten(ILogger logger, int count, long forgotten, int torn);
}
