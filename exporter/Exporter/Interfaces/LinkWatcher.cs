using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Health;
using Exporter.Pods;

namespace Exporter.Interfaces;

/// <summary>Keeps the table of interfaces up to date with the kernel, on a thread of its own that sleeps in it.</summary>
/// <param name="monitor">Subscribed before the first list is made: what changes in between is an event.</param>
/// <param name="identifier">Null: interfaces are known by what rtnetlink says of them.</param>
internal sealed partial class LinkWatcher(
    LinkMonitor monitor,
    ChangeSignal changes,
    InterfaceMetrics metrics,
    LoopHealth health,
    LinkGenerations generations,
    TimeProvider time,
    ILogger<LinkWatcher> logger,
    LinkIdentifier? identifier = null) : BackgroundService
{
    private const string LoopName = "links";

    private static readonly TimeSpan WakeUp = TimeSpan.FromSeconds(5);

    /// <summary>Longest time for which the table can be wrong.</summary>
    private static readonly TimeSpan RelistInterval = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan RetryList = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly LinkClient _client = new();
    private readonly LinkTable _table = new(time, generations);
    private long _listedAt;

    internal LinkTable Links => _table;

    /// <summary>Gets the peer namespaces; null: they are not needed.</summary>
    internal PodTable? Pods { get; init; }

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        List();
        return base.StartAsync(cancellationToken);
    }

    public override Task StopAsync(CancellationToken cancellationToken)
    {
        monitor.Stop();
        return base.StopAsync(cancellationToken);
    }

    public override void Dispose()
    {
        base.Dispose();
        _client.Dispose();
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.Factory.StartNew(Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private void Run()
    {
        var events = new List<LinkEvent>();
        var (isCurrent, failing) = (true, false);
        while (true)
        {
            health.Beat(LoopName, WakeUp + Patience);
            try
            {
                var wait = monitor.Receive(events, isCurrent ? WakeUp : RetryList);
                if (wait == LinkWait.Stopped)
                {
                    return;
                }
                if (wait == LinkWait.Overrun)
                {
                    metrics.Resyncs.Inc();
                    LogOverrun();
                    isCurrent = false;
                }
                if (events.Count > 0)
                {
                    events.ForEach(Apply);
                    Publish();
                }
                if (!isCurrent || time.GetElapsedTime(_listedAt) >= RelistInterval)
                {
                    List();
                    isCurrent = true;
                }
                failing = false;
            }
            catch (NetlinkException e)
            {
                // Whatever was not applied is made up for by a list.
                isCurrent = false;
                if (!failing)
                {
                    LogFailing(e.Message);
                }
                failing = true;
            }
            events.Clear();
        }
    }

    /// <summary>
    /// Events that came after the socket was last emptied report changes before or after the list is made; applied after it, in
    /// their order, they end in the same table.
    /// </summary>
    private void List()
    {
        _table.Reset(_client.GetLinks().Select(link => (link, Identify(link))));
        _listedAt = time.GetTimestamp();
        Publish();
    }

    private void Publish()
    {
        Pods?.PublishPeers(_table.Current.Values.Select(link => link.Identity));
        changes.Set();
    }

    private LinkIdentity Identify(Link link) => link.Kind is "veth" or "netkit" ? identifier?.Identify(link) ?? default : default;

    private void Apply(LinkEvent change)
    {
        switch (change)
        {
            case LinkChanged changed:
                _table.Set(changed.Link, Identify(changed.Link));
                break;
            case LinkRemoved removed when _table.Remove(removed.Link.Ifindex) is { } peer && _client.GetLink(peer.Ifindex) is { } link:
                // One end of a pair was moved to another namespace. The kernel reports that end only, but the other's
                // IFLA_LINK_NETNSID has changed.
                _table.Set(link, Identify(link));
                break;
        }
    }

    [LoggerMessage(10, LogLevel.Warning, "Interface events were missed, listing all interfaces again")]
    private partial void LogOverrun();

    [LoggerMessage(11, LogLevel.Error, "Watching interfaces failed: {Reason}")]
    private partial void LogFailing(string reason);
}
