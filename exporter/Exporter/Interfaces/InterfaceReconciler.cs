using System.Collections.Concurrent;
using Exporter.Bpf.Attach;
using Exporter.Health;
using Exporter.Pods;
using Exporter.Signals.Objects;

namespace Exporter.Interfaces;

/// <summary>
/// The only part that attaches and detaches: compares the interfaces that should be counted with those that are, whenever
/// something may have changed, and publishes their owners.
/// </summary>
internal sealed partial class InterfaceReconciler : BackgroundService, IInterfacePrograms
{
    private const string LoopName = "reconcile";

    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);

    /// <summary>After a round of which a part has failed, whatever else there is to do.</summary>
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly InterfaceContext _context;
    private readonly ChangeSignal _changes;
    private readonly LoopHealth _health;
    private readonly Readiness _readiness;
    private readonly ILogger _logger;
    private readonly ReconcileRound _round;
    private readonly AfterDrains _afterDrains;
    private readonly PinCheck _pinCheck;
    private readonly Departures _departures;
    private readonly Attribution _attribution;
    private readonly Attachments _attachments;
    private readonly Adoption _adoption;
    private readonly Coverage _coverage;
    private readonly ProgramExchange _exchange;

    /// <summary>Work for others that is done between two rounds.</summary>
    private readonly ConcurrentQueue<Action> _requests = [];

    private readonly ReconcileStep _adopting;
    private readonly ReconcileStep _sweeping;
    private readonly ReconcileStep _attaching;
    private readonly ReconcileStep _identifying;
    private readonly ReconcileStep _checking;
    private readonly ReconcileStep _publishing;
    private bool _hasSwept;
    private volatile bool _knowsRestored;

    internal InterfaceReconciler(InterfaceContext context, InterfaceRecords records, ChangeSignal changes, LoopHealth health, Readiness readiness, ILogger<InterfaceReconciler> logger)
    {
        (_context, _changes, _health, _readiness, _logger) = (context, changes, health, readiness, logger);
        _round = new(logger);
        _pinCheck = new(context.Pins, context.Metrics, logger);
        _departures = new(context, _pinCheck);
        _afterDrains = new(context.Rounds);
        _attribution = new(context, records, _round, _afterDrains, logger);
        _attachments = new(context, records, _attribution, _departures, _pinCheck, logger);
        _adoption = new(context, records, _attachments, _departures, _pinCheck, logger);
        _coverage = new(context, _attachments, Beat, logger);
        _exchange = new(context, _afterDrains);
        _adopting = new("take over programs of a previous process", context.Time);
        _sweeping = new("remove filters of an earlier run", context.Time);
        _attaching = new("attach", context.Time);
        _identifying = new("identify", context.Time);
        _checking = new("check coverage", context.Time);
        _publishing = new("publish the owners of network namespaces", context.Time);
    }

    /// <summary>How long detaching may take when this stops; null: programs stay attached, for the next session or process.</summary>
    internal TimeSpan? Detaching { get; set; } = TimeSpan.MaxValue;

    /// <summary>
    /// Whether the interfaces that were counted before have their addresses again, and their pods: each has one, or all pods are known and it has none of them. May be
    /// read by any thread.
    /// </summary>
    internal bool KnowsRestored => _knowsRestored;

    /// <summary>All that run, also those that no interface was given yet, or that are still to be detached.</summary>
    private IEnumerable<TcAttachment> Attached => _attachments.Handles.Concat(_attachments.Adopted.Values).Concat(_departures.Handles);

    /// <summary>Knows again the interfaces that were counted before. Called before anything is drained.</summary>
    internal void Restore() => _adoption.Restore();

    /// <summary>Other interfaces are to be counted, or coverage is checked at other times: from the next round on.</summary>
    internal void Apply(AttachOptions options)
    {
        _requests.Enqueue(() => _context.Options = options);
        _changes.Set();
    }

    /// <inheritdoc/>
    public Task ReplaceAsync(PacketObject packets, byte[] elf, CancellationToken cancellationToken) =>
        RequestAsync(() => _exchange.Replace(packets, elf, Attached), cancellationToken);

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        _readiness.WaitFor(LoopName, "the interfaces are not known yet");
        return base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (Detaching is not { } budget)
        {
            _adoption.Leave();
            LogLeft(_attachments.All.Count);
            return;
        }
        var all = _attachments.All.Count;
        foreach (var attachment in _attachments.All.ToList())
        {
            _attachments.Close(attachment);
        }
        _departures.DetachSome(budget);
        LogDetached(all - _departures.Handles.Select(handle => handle.Ifindex).Distinct().Count(), all);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        Beat();
        // The rounds take long, and must not run on the thread that starts this.
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            var hasMore = Reconcile(stoppingToken);
            Beat();
            if (_round.HasFailed)
            {
                _context.Metrics.ReconcileErrors.Inc();
                await Task.Delay(PauseAfterFailure, _context.Time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            if (!hasMore)
            {
                await WaitForChangeAsync(stoppingToken);
            }
        }
    }

    private void Beat() => _health.Beat(LoopName, Idle + Patience);

    private async Task WaitForChangeAsync(CancellationToken stoppingToken)
    {
        using var timeout = new CancellationTokenSource(UntilNextLook(), _context.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, timeout.Token);
        try
        {
            await _changes.WaitAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            // Nothing changed: time for retries and checks.
        }
    }

    private TimeSpan UntilNextLook()
    {
        var wait = Idle;
        foreach (var attachment in _attachments.Prepared)
        {
            wait = attachment.Addresses.Due is { } due && due < wait ? due : wait;
        }
        return wait;
    }

    /// <summary>One round; a part that fails does not keep the others from being done. Returns whether there is more to do at once.</summary>
    private bool Reconcile(CancellationToken stoppingToken)
    {
        _round.Begin();
        var (pending, hasMore) = (0, false);
        if (!_adoption.HasEnded)
        {
            hasMore = _round.Try(_adopting, _adoption.TakeSome) && !_adoption.HasEnded;
        }
        if (_adoption.HasEnded && !_hasSwept)
        {
            _hasSwept = _round.Try(_sweeping, RemoveLeftovers);
        }
        while (_adoption.HasEnded && _requests.TryDequeue(out var request))
        {
            request();
        }
        if (_round.Try(_attaching, () => pending = _attachments.AttachNew(_adoption.MayAttach, stoppingToken)) && _adoption.HasEnded)
        {
            _readiness.MarkReady(LoopName);
        }
        var isListed = _context.Pods.IsListed;
        if (_round.Try(_identifying, () => _attribution.IdentifyAll([.. _attachments.Prepared], _departures.All)) && _adoption.HasEnded)
        {
            _knowsRestored |= isListed || _attachments.Prepared.All(attachment => attachment.Owner.Pod is not null);
        }
        hasMore |= _departures.DetachSome(ReconcileRound.Slice);
        ForgetClosed();
        if (_coverage.TryBegin())
        {
            _pinCheck.Repair(Attached);
            _round.Try(_checking, _coverage.Check);
        }
        PublishStates(pending);
        _round.Try(_publishing, PublishNamespaces);
        return hasMore || (pending > 0 && !_attaching.IsFailing);
    }

    /// <summary>Of two interfaces of one pod the older one stands for its namespace, and none that is gone while there is another.</summary>
    private void PublishNamespaces() =>
        _context.Namespaces?.Publish(_adoption.Restored.Concat(_departures.All.Select(attachment => attachment.Owner))
            .Concat(_attachments.Prepared.Select(attachment => attachment.Owner).OrderByDescending(owner => owner.Generation)));

    /// <summary>Also with tcx: an earlier run may have used clsact.</summary>
    private void RemoveLeftovers()
    {
        var leftovers = _context.Attacher.RemoveStrays();
        if (leftovers > 0)
        {
            LogLeftovers(leftovers);
        }
    }

    /// <summary>Done by the loop, between two rounds, since no other part attaches.</summary>
    private Task RequestAsync(Action action, CancellationToken cancellationToken)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _requests.Enqueue(() =>
        {
            try
            {
                action();
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        _changes.Set();
        return done.Task.WaitAsync(cancellationToken);
    }

    /// <summary>
    /// An interface that is gone stays in the table until a drain has begun after its programs were detached and has ended: then
    /// nothing of it is in the maps. It is forgotten when everything that it carried is with its pod, or its pod did not become known.
    /// </summary>
    private void ForgetClosed()
    {
        _departures.RemoveAll(attachment =>
        {
            var (owner, table) = (attachment.Owner, _context.Table);
            if (!_context.Rounds.HasPassed(attachment.Mark))
            {
                return false;
            }
            if (table.Current.GetValueOrDefault(owner.Ifindex) == owner)
            {
                table.Current = table.Current.Remove(owner.Ifindex);
            }
            if (owner.Counts is null && _context.Time.GetElapsedTime(attachment.ClosedAt) < _context.HoldFor)
            {
                return false;
            }
            _attribution.Forget(owner);
            return true;
        });
        _afterDrains.Run();
    }

    private void PublishStates(int pending)
    {
        foreach (var state in (ReadOnlySpan<InterfaceState>)[InterfaceState.Attached, InterfaceState.Failed, InterfaceState.Shadowed])
        {
            _context.Metrics.SetInterfaces(state, _attachments.All.Count(attachment => attachment.State == state));
        }
        _context.Metrics.SetInterfaces(InterfaceState.Pending, pending);
    }

    [LoggerMessage(7, LogLevel.Information, "Detached from {Count} of {All} interfaces")]
    private partial void LogDetached(int count, int all);

    [LoggerMessage(8, LogLevel.Information, "Removed {Count} filters left by an earlier run")]
    private partial void LogLeftovers(int count);

    [LoggerMessage(13, LogLevel.Information, "Left programs attached to {Count} interfaces")]
    private partial void LogLeft(int count);
}
