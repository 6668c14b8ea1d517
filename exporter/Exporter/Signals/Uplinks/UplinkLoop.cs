using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.Health;

namespace Exporter.Signals.Uplinks;

/// <summary>Follows the interfaces that the options mean, gives them slots, and keeps programs attached to them, in one session.</summary>
/// <param name="lockObject">Held while programs are attached, detached or replaced.</param>
internal sealed partial class UplinkLoop(
    UplinkOptions options, UplinkTable table, UplinkRows rows, UplinkAttaching attaching, UplinkDrain drain, SessionContext context, ILogger logger, Lock lockObject) : BackgroundService
{
    private const string LoopName = "uplinks";

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    /// <summary>Between two looks at hooks that others have, which are no events.</summary>
    private static readonly TimeSpan Relist = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>With DHCP a link that was down has its route again some seconds after its carrier.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(60);

    private readonly LinkClient _client = new();
    private readonly RouteClient _routes = new();
    private readonly DefaultRoutes _defaults = new(options.Hook == UplinkHook.Xdp ? Grace : TimeSpan.Zero, context.Time);
    private readonly LinkMonitor _monitor = new(withRoutes: options.IsAuto);
    private readonly UplinkMetrics _metrics = new(context.Metrics);
    private readonly Trouble _failure = new();
    private readonly Trouble _full = new();
    private readonly Trouble _headless = new();
    private readonly Trouble _empty = new();
    private readonly Dictionary<string, ulong> _addresses = [];
    private long? _listedAt;

    /// <summary>Interfaces that are meant and have no slot.</summary>
    internal IReadOnlyList<NodeLink> WithoutSlot { get; private set; } = [];

    /// <summary>Interfaces that are meant and not counted, for their packets have no Ethernet header.</summary>
    internal IReadOnlyList<NodeLink> WithoutEthernet { get; private set; } = [];

    public override void Dispose()
    {
        base.Dispose();
        _monitor.Dispose();
        _routes.Dispose();
        _client.Dispose();
        rows.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Tick, context.Time);
        var events = new List<LinkEvent>();
        do
        {
            context.Health?.Beat(LoopName, Tick + Patience);
            try
            {
                events.Clear();
                var wait = _monitor.Receive(events, TimeSpan.Zero);
                if (events.Count > 0 || wait == LinkWait.Overrun || _listedAt is not { } at || context.Time.GetElapsedTime(at) >= Relist || table.All.Any(uplink => uplink.LeftAt is not null))
                {
                    Reconcile();
                    _listedAt = context.Time.GetTimestamp();
                }
                if (_failure.Ends())
                {
                    LogWorks(logger);
                }
            }
            catch (KernelException e)
            {
                _listedAt = null;
                if (_failure.Begins())
                {
                    LogFailing(logger, e.Message);
                }
            }
        }
        while (await timer.NextAsync(stoppingToken));
        // With other options there may be none.
        context.Health?.End(LoopName);
    }

    private void Reconcile()
    {
        var choice = UplinkSelection.Find(options, _client, _routes, _defaults);
        WithoutEthernet = choice.WithoutEthernet;
        lock (lockObject)
        {
            Leave(choice.Counted);
            Add(choice.Counted);
            foreach (var uplink in table.All.Where(uplink => uplink.LeftAt is null))
            {
                attaching.Attach(uplink);
            }
        }
        Show(choice);
    }

    /// <summary>Interfaces that are gone, have another name, or are not meant any more leave; their slots are free once their last counts are read.</summary>
    private void Leave(IReadOnlyList<NodeLink> chosen)
    {
        foreach (var uplink in table.All)
        {
            if (uplink.LeftAt is { } left)
            {
                if (drain.Completed > left)
                {
                    table.Remove(uplink);
                    rows.Forget(uplink);
                    context.Series.Release(uplink.Account!);
                }
                continue;
            }
            if (chosen.FirstOrDefault(link => link.Ifindex == uplink.Link.Ifindex) is { } link && Uplink.IsSame(uplink.Identity, link))
            {
                uplink.Link = link;
                continue;
            }
            // With another name the same interface continues in another slot, under the same programs.
            if (!chosen.Any(link => link.Ifindex == uplink.Link.Ifindex) || !table.HasFree)
            {
                UplinkAttaching.Detach(uplink);
                table.Leave(uplink, drain.Started);
            }
            LogLeft(logger, uplink.Link.Name);
        }
    }

    private void Add(IReadOnlyList<NodeLink> chosen)
    {
        var without = new List<NodeLink>();
        foreach (var link in chosen)
        {
            var present = table.All.FirstOrDefault(uplink => uplink.LeftAt is null && uplink.Link.Ifindex == link.Ifindex);
            if (present is not null && Uplink.IsSame(present.Identity, link))
            {
                continue;
            }
            // Another interface of that name has left just now, and its last counts are not read yet.
            if (table.All.Any(uplink => uplink != present && uplink.Link.Name == link.Name && !Uplink.IsSame(uplink.Identity, link)))
            {
                continue;
            }
            if (!table.HasFree)
            {
                without.Add(link);
                continue;
            }
            if (_addresses.TryGetValue(link.Name, out var address) && address != link.PermanentAddress && address != 0 && link.PermanentAddress != 0)
            {
                context.Series.RetireInterface(link.Name);
            }
            _addresses[link.Name] = link.PermanentAddress;
            Begin(table.Prepare(link, context.Time.GetUtcNow()), present);
        }
        WithoutSlot = without;
    }

    /// <param name="previous">The slot that the same interface had under another name; null: none.</param>
    private void Begin(Uplink uplink, Uplink? previous)
    {
        uplink.Account = context.Series.AcquireInterface(uplink.Link.Name);
        rows.Begin(uplink, isNew: true);
        if (previous is not null)
        {
            previous.HandTo(uplink);
            previous.LeftAt = drain.Started;
        }
        table.Add(uplink);
    }

    private void Show(UplinkChoice choice)
    {
        var states = table.All.Where(uplink => uplink.LeftAt is null).CountBy(attaching.StateOf).ToDictionary();
        foreach (var state in (string[])[UplinkMetrics.Counted, UplinkMetrics.Fallback, UplinkMetrics.Failed])
        {
            _metrics.Set(state, states.GetValueOrDefault(state));
        }
        _metrics.Set(UplinkMetrics.NoSlot, WithoutSlot.Count);
        _metrics.Set(UplinkMetrics.NoEthernet, choice.WithoutEthernet.Count);
        if (WithoutSlot.Count == 0)
        {
            _full.Ends();
        }
        else if (_full.Begins())
        {
            LogFull(logger, UplinkSlots.Count, string.Join(", ", WithoutSlot.Select(link => link.Name)));
        }
        if (choice.WithoutEthernet.Count == 0)
        {
            _headless.Ends();
        }
        else if (_headless.Begins())
        {
            LogWithoutEthernet(logger, string.Join(", ", choice.WithoutEthernet.Select(link => link.Name)));
        }
        if (!choice.IsEmpty)
        {
            _empty.Ends();
        }
        else if (_empty.Begins())
        {
            LogNone(logger, string.Join(", ", options.Names));
        }
    }

    [LoggerMessage(122, LogLevel.Information, "The uplink {Interface} is not counted any more: it is gone, has another name, or Uplinks:Interfaces does not mean it")]
    private static partial void LogLeft(ILogger logger, string @interface);

    [LoggerMessage(123, LogLevel.Warning, "Uplinks:Interfaces means more than {Count} interfaces; not counted: {Names}. Name fewer")]
    private static partial void LogFull(ILogger logger, int count, string names);

    [LoggerMessage(128, LogLevel.Warning, "Uplinks:Interfaces means interfaces without Ethernet headers, which uplinks are counted by; not counted: {Names}. Name the Ethernet interface below them")]
    private static partial void LogWithoutEthernet(ILogger logger, string names);

    [LoggerMessage(124, LogLevel.Warning, "Uplinks:Interfaces means no interface of this node: {Names}; counting begins when there is one")]
    private static partial void LogNone(ILogger logger, string names);

    [LoggerMessage(125, LogLevel.Error, "Following the uplinks failed, retrying: {Reason}")]
    private static partial void LogFailing(ILogger logger, string reason);

    [LoggerMessage(126, LogLevel.Information, "Following the uplinks works again")]
    private static partial void LogWorks(ILogger logger);
}
