using System.Collections.Immutable;
using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.Bpf.Tc;
using Exporter.Health;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Traffic;

namespace Exporter.Discovery;

/// <summary>What the exporter does with an interface of a pod.</summary>
internal enum InterfaceState
{
    /// <summary>Found, not attached yet.</summary>
    Pending,

    /// <summary>Counted.</summary>
    Attached,

    /// <summary>Attaching failed; it is tried again.</summary>
    Failed,

    /// <summary>Attached, but its packets do not reach the programs.</summary>
    Shadowed,
}

/// <summary>
/// The only one who attaches and detaches: compares the interfaces that should be counted with those that are, whenever
/// something may have changed, and publishes whose they are.
/// </summary>
internal sealed partial class InterfaceReconciler(
    LinkWatcher watcher,
    TcHook hook,
    RouteClient client,
    IPodSource pods,
    PodTable table,
    PodMetrics podMetrics,
    TrafficReader reader,
    ExporterMetrics metrics,
    LoopHealth health,
    TimeProvider time,
    AttachOptions options,
    ILogger<InterfaceReconciler> logger) : BackgroundService
{
    private const string LoopName = "reconcile";

    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Dictionary<int, Attachment> _attachments = [];
    private readonly CoverageCheck _coverage = new();
    private long _lastCoverageCheck = time.GetTimestamp();

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        foreach (var attachment in _attachments.Values)
        {
            attachment.Detach();
        }
        LogDetached(_attachments.Count);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            Reconcile(stoppingToken);
            await WaitForChangeAsync(stoppingToken);
        }
    }

    private async Task WaitForChangeAsync(CancellationToken stoppingToken)
    {
        using var timeout = new CancellationTokenSource(Idle, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, timeout.Token);
        try
        {
            await watcher.Changes.ReadAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            // Nothing changed: time for retries and checks.
        }
    }

    private void Reconcile(CancellationToken stoppingToken)
    {
        ForgetGone();
        AttachNew(stoppingToken);
        if (time.GetElapsedTime(_lastCoverageCheck) >= options.CheckInterval)
        {
            _lastCoverageCheck = time.GetTimestamp();
            CheckCoverage();
        }
        PublishStates();
        health.Beat(LoopName, Idle + Patience);
    }

    /// <summary>
    /// An interface that is gone stays in the table until a drain has begun after its programs were detached and has ended:
    /// then all that it carried is with its pod.
    /// </summary>
    private void ForgetGone()
    {
        var links = watcher.Links.Current;
        foreach (var (ifindex, attachment) in _attachments)
        {
            if (!attachment.IsClosing && IsGone(links, attachment))
            {
                attachment.Detach();
                attachment.ClosedAtDrain = reader.Started;
            }
            if (attachment.IsClosing && reader.Completed > attachment.ClosedAtDrain)
            {
                Forget(ifindex, attachment);
            }
        }
    }

    private bool IsGone(ImmutableDictionary<int, TrackedLink> links, Attachment attachment) =>
        !links.TryGetValue(attachment.Ifindex, out var link)
        || link.Generation != attachment.Generation
        || !options.IsPodInterface(link.Link);

    private void Forget(int ifindex, Attachment attachment)
    {
        if (table.Current.GetValueOrDefault(ifindex)?.Series is { } series)
        {
            podMetrics.Release(series);
        }
        table.Current = table.Current.Remove(ifindex);
        _attachments.Remove(ifindex);
    }

    /// <summary>
    /// The newest first: they have everything still to come, and a backlog of old ones can take long, since every tcx link
    /// waits for an RCU grace period. Between two of them the table is looked at again.
    /// </summary>
    private void AttachNew(CancellationToken stoppingToken)
    {
        var links = watcher.Links.Current;
        var wanted = FindUnattached(links);
        if (wanted.Count == 0)
        {
            return;
        }
        pods.Refresh();
        while (wanted.TryPop(out var link) && !stoppingToken.IsCancellationRequested)
        {
            Attach(link);
            metrics.SetInterfaces(InterfaceState.Pending, wanted.Count);
            health.Beat(LoopName, Idle + Patience);
            if (watcher.Links.Current != links)
            {
                links = watcher.Links.Current;
                ForgetGone();
                wanted = FindUnattached(links);
                pods.Refresh();
            }
        }
    }

    /// <summary>With the newest on top.</summary>
    private Stack<TrackedLink> FindUnattached(ImmutableDictionary<int, TrackedLink> links) =>
        new(links.Values
            .Where(link => options.IsPodInterface(link.Link)
                && (!_attachments.TryGetValue(link.Link.Ifindex, out var attachment)
                    || attachment.Generation != link.Generation
                    || attachment.IsDue(time)))
            .OrderBy(link => link.Generation));

    private void Attach(TrackedLink tracked)
    {
        var (link, generation) = tracked;
        if (_attachments.TryGetValue(link.Ifindex, out var attachment) && attachment.Generation != generation)
        {
            // The index has come back before its former owner was forgotten.
            if (!TryForgetNow(attachment))
            {
                return;
            }
            attachment = null;
        }
        if (attachment is null)
        {
            _attachments[link.Ifindex] = attachment = new(link.Ifindex, generation);
            var series = pods.Identify(link) is { } pod ? podMetrics.Acquire(pod) : null;
            // Before it is attached: no row may come whose owner is unknown.
            table.Current = table.Current.SetItem(link.Ifindex, new(link.Ifindex, generation, link.Name, series, new()));
        }
        try
        {
            if (hook.TryAttach(link.Ifindex) is not { } handle)
            {
                // Gone already; its event is on the way.
                attachment.RetryLater(time);
                return;
            }
            if (attachment.State == InterfaceState.Failed)
            {
                LogAttachRecovered(link.Name);
            }
            attachment.Attached(handle);
        }
        catch (BpfException e)
        {
            metrics.CountAttachError(Errno.Label(e.ErrorNumber));
            if (attachment.State != InterfaceState.Failed)
            {
                LogAttachFailed(link.Name, e.Message);
            }
            attachment.Failed(time);
        }
    }

    private bool TryForgetNow(Attachment attachment)
    {
        attachment.Detach();
        try
        {
            reader.Drain();
        }
        catch (BpfException)
        {
            // The drain loop reports it, and the interface's turn comes again.
            return false;
        }
        Forget(attachment.Ifindex, attachment);
        return true;
    }

    private void CheckCoverage()
    {
        HashSet<int> uncovered;
        try
        {
            uncovered = _coverage.FindUncovered(client.GetStatistics(), table.Current);
        }
        catch (NetlinkException e)
        {
            LogCoverageFailed(e.Message);
            return;
        }
        foreach (var (ifindex, attachment) in _attachments)
        {
            var name = table.Current[ifindex].Name;
            switch (attachment.State)
            {
                case InterfaceState.Attached or InterfaceState.Shadowed when uncovered.Contains(ifindex) && !hook.IsAttached(ifindex):
                    metrics.CountAttachError("removed");
                    LogRemoved(name);
                    attachment.Detach();
                    break;
                case InterfaceState.Attached when uncovered.Contains(ifindex):
                    LogShadowed(name);
                    attachment.State = InterfaceState.Shadowed;
                    break;
                case InterfaceState.Shadowed when !uncovered.Contains(ifindex):
                    LogCovered(name);
                    attachment.State = InterfaceState.Attached;
                    break;
            }
        }
    }

    private void PublishStates()
    {
        foreach (var state in Enum.GetValues<InterfaceState>())
        {
            metrics.SetInterfaces(state, _attachments.Values.Count(attachment => !attachment.IsClosing && attachment.State == state));
        }
    }

    [LoggerMessage(1, LogLevel.Error, "Cannot count {Interface}, trying again: {Reason}")]
    private partial void LogAttachFailed(string @interface, string reason);

    [LoggerMessage(2, LogLevel.Information, "{Interface} is counted now")]
    private partial void LogAttachRecovered(string @interface);

    [LoggerMessage(3, LogLevel.Warning, "The programs on {Interface} were removed by somebody else, attaching them again")]
    private partial void LogRemoved(string @interface);

    [LoggerMessage(4, LogLevel.Warning, "{Interface} carries packets that do not reach the exporter's programs: another program ends the chain before them")]
    private partial void LogShadowed(string @interface);

    [LoggerMessage(5, LogLevel.Information, "{Interface}'s packets reach the exporter's programs again")]
    private partial void LogCovered(string @interface);

    [LoggerMessage(6, LogLevel.Warning, "Cannot compare with the interfaces' own counters: {Reason}")]
    private partial void LogCoverageFailed(string reason);

    [LoggerMessage(7, LogLevel.Information, "Detached from {Count} interfaces")]
    private partial void LogDetached(int count);

    /// <summary>One interface that should be counted, or is still being closed.</summary>
    private sealed class Attachment(int ifindex, long generation)
    {
        private IDisposable? _handle;
        private TimeSpan _retryAfter;
        private long _triedAt;

        internal int Ifindex => ifindex;

        internal long Generation => generation;

        internal InterfaceState State { get; set; } = InterfaceState.Pending;

        /// <summary>How many drains had begun when it was detached for good; null while it is wanted.</summary>
        internal long? ClosedAtDrain { get; set; }

        internal bool IsClosing => ClosedAtDrain is not null;

        /// <summary>Whether it is to be attached, now.</summary>
        internal bool IsDue(TimeProvider time) => _handle is null && !IsClosing && time.GetElapsedTime(_triedAt) >= _retryAfter;

        internal void Attached(IDisposable handle)
        {
            _handle = handle;
            _retryAfter = default;
            State = InterfaceState.Attached;
        }

        internal void Failed(TimeProvider time)
        {
            State = InterfaceState.Failed;
            RetryLater(time);
        }

        internal void RetryLater(TimeProvider time)
        {
            _triedAt = time.GetTimestamp();
            _retryAfter = _retryAfter == default ? FirstRetry : _retryAfter * 2 > LongestRetry ? LongestRetry : _retryAfter * 2;
        }

        internal void Detach()
        {
            _handle?.Dispose();
            _handle = null;
            State = InterfaceState.Pending;
        }
    }
}
