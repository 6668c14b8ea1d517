using System.Threading.Channels;
using Exporter.Bpf.Netlink;
using Exporter.Health;
using Exporter.Metrics;

namespace Exporter.Discovery;

/// <summary>Keeps the table of interfaces up to date with the kernel, on a thread of its own that sleeps in it.</summary>
/// <param name="monitor">Subscribed before the first list is made: what changes in between is an event.</param>
internal sealed partial class LinkWatcher(RouteMonitor monitor, ExporterMetrics metrics, LoopHealth health, ILogger<LinkWatcher> logger)
    : IHostedService, IDisposable
{
    private const string LoopName = "links";

    private static readonly TimeSpan WakeUp = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RetryList = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly RouteClient _client = new();
    private readonly LinkTable _table = new();
    private readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private Thread? _thread;

    internal LinkTable Links => _table;

    /// <summary>Whether the interfaces that were there at the start are known.</summary>
    internal bool HasListed { get; private set; }

    /// <summary>Has an item whenever something changed since it was last read.</summary>
    internal ChannelReader<bool> Changes => _changes.Reader;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _table.Reset(_client.GetLinks());
        HasListed = true;
        _changes.Writer.TryWrite(true);
        _thread = new Thread(Run) { Name = LoopName, IsBackground = true };
        _thread.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        monitor.Stop();
        _thread?.Join();
        return Task.CompletedTask;
    }

    public void Dispose() => _client.Dispose();

    private void Run()
    {
        var events = new List<RouteEvent>();
        var (listed, failing) = (true, false);
        while (true)
        {
            health.Beat(LoopName, WakeUp + Patience);
            try
            {
                var wait = monitor.Receive(events, listed ? WakeUp : RetryList);
                if (wait == RouteWait.Stopped)
                {
                    return;
                }
                if (wait == RouteWait.Overrun)
                {
                    metrics.Resyncs.Inc();
                    LogOverrun();
                    listed = false;
                }
                if (!listed)
                {
                    // Events that are still in the buffer tell of changes before or after the list is made; applied after it,
                    // in their order, they end in the same table.
                    _table.Reset(_client.GetLinks());
                    listed = true;
                }
                else if (events.Count == 0)
                {
                    continue;
                }
                events.ForEach(Apply);
                _changes.Writer.TryWrite(true);
                failing = false;
            }
            catch (NetlinkException e)
            {
                // Whatever was not applied is made up for by a list.
                listed = false;
                if (!failing)
                {
                    LogFailing(e.Message);
                }
                failing = true;
            }
            events.Clear();
        }
    }

    private void Apply(RouteEvent change)
    {
        switch (change)
        {
            case LinkChanged changed:
                _table.Set(changed.Link);
                break;
            case LinkRemoved removed when _table.Remove(removed.Link.Ifindex) is { } peer && _client.GetLink(peer.Ifindex) is { } link:
                // One end of a pair was moved to another namespace. The kernel tells of that end only, but the other's
                // IFLA_LINK_NETNSID has changed.
                _table.Set(link);
                break;
        }
    }

    [LoggerMessage(10, LogLevel.Warning, "Interface events were missed, all interfaces are listed again")]
    private partial void LogOverrun();

    [LoggerMessage(11, LogLevel.Error, "Watching the interfaces fails: {Reason}")]
    private partial void LogFailing(string reason);
}
