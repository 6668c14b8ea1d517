using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.Bpf.Tc;
using Exporter.Handshakes;
using Exporter.Health;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Programs;
using Exporter.Traffic;

namespace Exporter.Discovery;

/// <summary>
/// The only one who attaches and detaches: compares the interfaces that should be counted with those that are, whenever
/// something may have changed, and publishes whose they are.
/// </summary>
/// <param name="networks">Null where handshakes are not counted, as <paramref name="handshakes"/>.</param>
internal sealed partial class InterfaceReconciler(
    LinkWatcher watcher,
    ChangeSignal changes,
    TcHook hook,
    RouteClient client,
    IPodSource pods,
    PodTable table,
    PodMetrics podMetrics,
    InterfaceRecords records,
    TrafficReader reader,
    ITrafficSource traffic,
    ExporterMetrics metrics,
    LoopHealth health,
    Readiness readiness,
    TimeProvider time,
    AttachOptions options,
    IdentityOptions identityOptions,
    ILogger<InterfaceReconciler> logger,
    NetworkOwners? networks = null,
    PodTrafficPrograms? programs = null,
    HandshakeReader? handshakes = null,
    TcpHandshakePrograms? handshakePrograms = null) : BackgroundService
{
    private const string LoopName = "reconcile";

    /// <summary>How long a backlog may be attached before everything else has its turn.</summary>
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Courtesy = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Dictionary<int, Attachment> _attachments = [];

    /// <summary>Detached for good, and not all that was counted is with their pods yet.</summary>
    private readonly List<Attachment> _closing = [];

    /// <summary>What pods were counted in that are shown otherwise now; the drain may be adding to it still.</summary>
    private readonly List<(IPodCounts Counts, Settlement Settlement)> _replaced = [];

    /// <summary>What others want done between two rounds, since nobody else attaches.</summary>
    private readonly ConcurrentQueue<Action> _requests = [];

    /// <summary>Objects whose programs were replaced; the drain may be asking about them still.</summary>
    private readonly List<(BpfObject Object, Settlement Settlement)> _formerObjects = [];

    /// <summary>Interfaces that a former process has counted, until the first round.</summary>
    private readonly List<PodInterface> _restored = [];

    /// <summary>What a former process has attached, and no interface was given yet.</summary>
    private readonly Dictionary<(int Ifindex, TcDirection Direction), TcAttachment> _adopted = [];

    private readonly CoverageCheck _coverage = new();
    private long _coverageCheckedAt = time.GetTimestamp();
    private long _coverageCheckedAtDrain;
    private bool _failing;
    private bool _hasAdopted;

    /// <summary>How long detaching may take when this stops; null: what is attached stays so, for who comes next.</summary>
    internal TimeSpan? Detaching { get; set; } = TimeSpan.MaxValue;

    private IEnumerable<TcAttachment> Attached => _attachments.Values.SelectMany(attachment => new[] { attachment.Ingress, attachment.Egress }).OfType<TcAttachment>();

    /// <summary>
    /// Has an object's traffic programs take the place of those that are attached, on every interface, once it was tried out.
    /// </summary>
    /// <exception cref="BpfException">It is refused; the former go on.</exception>
    internal async Task ReplaceTrafficAsync(byte[] elf, CancellationToken cancellationToken)
    {
        await Task.Run(() => ProgramTrial.Run(elf), cancellationToken);
        await RequestAsync(() => ReplaceTraffic(elf), cancellationToken);
    }

    /// <summary>The same with the programs of handshakes.</summary>
    /// <exception cref="BpfException">It is refused; the former go on.</exception>
    internal Task ReplaceHandshakesAsync(byte[] elf, CancellationToken cancellationToken) => RequestAsync(
        () =>
        {
            try
            {
                (handshakePrograms ?? throw new BpfException("replace the programs of handshakes: there are none", Errno.ENOENT)).Replace(elf, HandshakeHooks.FindUnseen);
            }
            catch (SocketException e)
            {
                throw new BpfException($"try out the programs of handshakes: {e.Message}", Errno.EAGAIN);
            }
        },
        cancellationToken);

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        readiness.WaitFor(LoopName, "the interfaces are not known yet");
        return base.StartAsync(cancellationToken);
    }

    /// <summary>
    /// Knows again what a former process has known: whose interfaces there were, also those that are gone by now. Called before anything is
    /// drained, so that what was counted meanwhile finds its owner.
    /// </summary>
    internal void Restore()
    {
        var restored = records.Restore();
        var links = new List<TrackedLink>();
        // Who has series goes before those that had no room.
        foreach (var (owner, _) in restored.OrderBy(record => record.Owner.Pod is { } pod && podMetrics.HasSeries(pod) ? 0 : 1))
        {
            owner.Counts = owner.Pod is { } pod ? podMetrics.Acquire(pod) : null;
            // Of two that had the index, the older was gone, and nothing of it is in the maps that is not of the newer.
            if (table.Current.GetValueOrDefault(owner.Ifindex) is not { } other || other.Generation < owner.Generation)
            {
                table.Current = table.Current.SetItem(owner.Ifindex, owner);
            }
            links.Add(new(owner.Link, owner.Generation, IsNew: false, owner.SeenAt));
            _restored.Add(owner);
        }
        if (restored.Count > 0)
        {
            watcher.Links.Restore(links);
            LogRestored(restored.Count);
        }
        pods.Resume(_restored);
        networks?.Restore(restored);
        reader.Restore(generation => _restored.Find(owner => owner.Generation == generation));
        handshakes?.Restore();
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (Detaching is not { } budget)
        {
            // Before its first round this one has none: what was left to it is left still.
            if (_adopted.Count > 0 || _attachments.Count > 0)
            {
                hook.Leave(Attached.Concat(_adopted.Values));
            }
            LogLeft(_attachments.Count);
            return;
        }
        var started = time.GetTimestamp();
        var detached = 0;
        foreach (var attachment in _attachments.Values.TakeWhile(_ => time.GetElapsedTime(started) < budget))
        {
            attachment.Detach();
            detached++;
        }
        LogDetached(detached, _attachments.Count);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        health.Beat(LoopName, Idle + Patience);
        // What follows takes long, and must not run inside of the one who starts this.
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            if (!TryReconcile(stoppingToken))
            {
                await WaitForChangeAsync(stoppingToken);
            }
        }
    }

    private async Task WaitForChangeAsync(CancellationToken stoppingToken)
    {
        using var timeout = new CancellationTokenSource(UntilNextLook(), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, timeout.Token);
        try
        {
            await changes.WaitAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            // Nothing changed: time for retries and checks.
        }
    }

    private TimeSpan UntilNextLook()
    {
        var wait = Idle;
        foreach (var attachment in _attachments.Values)
        {
            wait = attachment.Addresses.Due is { } due && due < wait ? due : wait;
        }
        return wait;
    }

    /// <summary>One round. Returns whether there is more to do at once.</summary>
    private bool TryReconcile(CancellationToken stoppingToken)
    {
        try
        {
            if (!_hasAdopted)
            {
                Adopt();
                _hasAdopted = true;
            }
            while (_requests.TryDequeue(out var request))
            {
                request();
            }
            var pending = Reconcile(stoppingToken);
            _failing = false;
            return pending > 0;
        }
        catch (Exception e) when (e is NetlinkException or BpfException)
        {
            if (!_failing)
            {
                LogFailing(e.Message);
            }
            _failing = true;
            return false;
        }
        finally
        {
            health.Beat(LoopName, Idle + Patience);
        }
    }

    /// <summary>
    /// Takes over what a former process has left attached, and removes what it has left otherwise. The programs of this process are in the
    /// place of the former's when this returns.
    /// </summary>
    private void Adopt()
    {
        // Those that are given already are from a time before, which has not come to its end.
        foreach (var adopted in (hook.TakeLeft() ?? hook.Adopt()).Where(adopted => !_attachments.ContainsKey(adopted.Ifindex)))
        {
            _adopted[(adopted.Ifindex, adopted.Direction)] = adopted;
        }
        traffic.EndFormer();
        // Also with tcx: an earlier run may have used clsact.
        var leftovers = ClsactHook.RemoveLeftovers(client);
        if (leftovers > 0)
        {
            LogLeftovers(leftovers);
        }
        var links = watcher.Links.Current;
        foreach (var owner in _restored.ToList())
        {
            _restored.Remove(owner);
            var attachment = new Attachment(owner, time);
            var isThere = false;
            if (links.TryGetValue(owner.Ifindex, out var link) && link.Generation == owner.Generation)
            {
                (isThere, owner.Link) = (true, link.Link);
                while (attachment.Egress is null && _adopted.Remove((owner.Ifindex, attachment.Next), out var handle))
                {
                    attachment.Add(handle);
                }
            }
            if (isThere && options.IsPodInterface(owner.Link))
            {
                _attachments[owner.Ifindex] = attachment;
            }
            else
            {
                // It is gone, or is not to be counted any more.
                Close(attachment);
            }
        }
        foreach (var (key, handle) in _adopted.Where(entry => !links.TryGetValue(entry.Key.Ifindex, out var link) || !options.IsPodInterface(link.Link)).ToList())
        {
            handle.Dispose();
            _adopted.Remove(key);
        }
    }

    private int Reconcile(CancellationToken stoppingToken)
    {
        var pending = AttachNew(stoppingToken);
        IdentifyAll();
        ForgetClosed();
        if (time.GetElapsedTime(_coverageCheckedAt) >= options.CheckInterval && reader.Completed > _coverageCheckedAtDrain)
        {
            (_coverageCheckedAt, _coverageCheckedAtDrain) = (time.GetTimestamp(), reader.Started);
            CheckCoverage();
        }
        PublishStates(pending);
        readiness.Has(LoopName);
        // Of two interfaces of one pod the older one stands for its namespace, and none that is gone while there is another.
        networks?.Publish([.. _closing.Concat(_attachments.Values.OrderByDescending(attachment => attachment.Owner.Generation))
            .Select(attachment => (attachment.Owner, attachment.Owner.Link.PeerNamespaceId))]);
        return pending;
    }

    /// <summary>Done by the loop, between two rounds.</summary>
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
        changes.Set();
        return done.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Where one interface cannot be given the new program, all get the former again.</summary>
    private void ReplaceTraffic(byte[] elf)
    {
        var former = programs!.Replace(elf);
        var renewed = new List<TcAttachment>();
        try
        {
            foreach (var attached in Attached)
            {
                if (TryRenew(attached))
                {
                    renewed.Add(attached);
                }
            }
        }
        catch (Exception e) when (e is BpfException or NetlinkException)
        {
            var refused = programs.Replace(former);
            foreach (var attached in renewed)
            {
                GoBack(attached);
            }
            hook.EndRenewal();
            refused.Dispose();
            throw;
        }
        hook.EndRenewal();
        _formerObjects.Add((former, SettleAfterNextDrain()));
    }

    /// <summary>The one interface that cannot go back keeps the programs that were refused elsewhere, which count into the same maps.</summary>
    private void GoBack(TcAttachment attached)
    {
        try
        {
            TryRenew(attached);
        }
        catch (Exception e) when (e is BpfException or NetlinkException)
        {
            CountAttachError(e);
        }
    }

    private void CountAttachError(Exception e) =>
        metrics.CountAttachError(Errno.Label((e as BpfException)?.ErrorNumber ?? ((NetlinkException)e).ErrorNumber));

    /// <summary>Whether the interface is still there.</summary>
    private bool TryRenew(TcAttachment attached)
    {
        try
        {
            attached.Renew();
            return true;
        }
        catch (BpfException) when (client.GetLink(attached.Ifindex) is null)
        {
            return false;
        }
    }

    private void CloseGone(ImmutableDictionary<int, TrackedLink> links)
    {
        foreach (var attachment in _attachments.Values)
        {
            if (links.TryGetValue(attachment.Owner.Ifindex, out var link)
                && link.Generation == attachment.Owner.Generation
                && options.IsPodInterface(link.Link))
            {
                attachment.Owner.Link = link.Link;
            }
            else
            {
                Close(attachment);
            }
        }
    }

    private void Close(Attachment attachment)
    {
        attachment.Detach();
        attachment.ClosedAt = time.GetTimestamp();
        attachment.Owner.GoneAt = time.GetUtcNow();
        attachment.Settlement = SettleAfterNextDrain();
        if (_attachments.GetValueOrDefault(attachment.Owner.Ifindex) == attachment)
        {
            _attachments.Remove(attachment.Owner.Ifindex);
        }
        _closing.Add(attachment);
    }

    /// <summary>
    /// An interface that is gone stays in the table until a drain has begun after its programs were detached and has ended: then
    /// nothing of it is in the maps. It is forgotten when all that it carried is with its pod, or its pod did not become known.
    /// </summary>
    private void ForgetClosed()
    {
        _closing.RemoveAll(attachment =>
        {
            var owner = attachment.Owner;
            if (!IsSettled(attachment.Settlement))
            {
                return false;
            }
            RemoveFromTable(owner);
            if (owner.Counts is null && time.GetElapsedTime(attachment.ClosedAt) < identityOptions.Wait)
            {
                return false;
            }
            Release(owner.Counts);
            owner.Counts = null;
            records.Remove(owner);
            pods.Forget(owner);
            return true;
        });
        _formerObjects.RemoveAll(former =>
        {
            var isSettled = IsSettled(former.Settlement);
            if (isSettled)
            {
                former.Object.Dispose();
            }
            return isSettled;
        });
        _replaced.RemoveAll(replaced =>
        {
            var isSettled = IsSettled(replaced.Settlement);
            if (isSettled)
            {
                Release(replaced.Counts);
            }
            return isSettled;
        });
    }

    private void Release(IPodCounts? counts)
    {
        if (counts is not null)
        {
            podMetrics.Release(counts);
        }
    }

    private void RemoveFromTable(PodInterface owner)
    {
        if (table.Current.GetValueOrDefault(owner.Ifindex) == owner)
        {
            table.Current = table.Current.Remove(owner.Ifindex);
        }
    }

    private void IdentifyAll()
    {
        var hasChanged = pods.TakeChanges();
        foreach (var attachment in _attachments.Values)
        {
            LookForAddresses(attachment, now: hasChanged);
        }
        List<Attachment> asked = [.. _closing.Concat(_attachments.Values).Where(attachment => hasChanged || attachment.Owner.Pod is null)];
        if (asked.Count > 0)
        {
            pods.Refresh();
            asked.ForEach(Identify);
        }
    }

    /// <summary>One namespace that does not tell must not keep the others' pods unknown.</summary>
    private void LookForAddresses(Attachment attachment, bool now)
    {
        try
        {
            attachment.Addresses.Look(client, now);
        }
        catch (NetlinkException e)
        {
            if (!attachment.IsSecretive)
            {
                LogAddressesUnknown(attachment.Owner.Name, e.Message);
            }
            attachment.IsSecretive = true;
        }
    }

    /// <summary>Also of those whose pod is known: it may be shown otherwise from now on.</summary>
    private void Identify(Attachment attachment)
    {
        var owner = attachment.Owner;
        if (pods.Identify(owner) is not { } pod || pod == owner.Pod)
        {
            return;
        }
        var before = owner.Counts;
        owner.Counts = podMetrics.Acquire(pod);
        owner.Pod = pod;
        records.Save(owner);
        // What was held until now is credited by the next drain.
        attachment.Settlement = SettleAfterNextDrain();
        if (before is not null)
        {
            _replaced.Add((before, attachment.Settlement));
        }
    }

    private Settlement SettleAfterNextDrain() => new(reader.Started, handshakes?.Started ?? 0);

    private bool IsSettled(Settlement settlement) =>
        reader.Completed > settlement.Drain && (handshakes is null || handshakes.Completed > settlement.Handshakes);

    /// <summary>
    /// The newest first: they have everything still to come, and a backlog of old ones can take long, since every tcx link
    /// waits for an RCU grace period. Between two of them the table is looked at again.
    /// </summary>
    /// <returns>How many are left.</returns>
    private int AttachNew(CancellationToken stoppingToken)
    {
        var started = time.GetTimestamp();
        var links = watcher.Links.Current;
        CloseGone(links);
        var wanted = FindUnattached(links);
        if (wanted.Count > 0)
        {
            pods.Refresh();
        }
        while (wanted.TryPeek(out var link) && !stoppingToken.IsCancellationRequested && time.GetElapsedTime(started) < Slice)
        {
            if (!TryAttach(link) || !IsUnattached(link))
            {
                wanted.Pop();
            }
            if (wanted.Count > 0 && hook.HoldsLockLong)
            {
                // Whoever waits for the lock, perhaps to make an interface that should come before the next one here, gets it now.
                Thread.Sleep(Courtesy);
            }
            if (watcher.Links.Current != links)
            {
                links = watcher.Links.Current;
                CloseGone(links);
                wanted = FindUnattached(links);
                pods.Refresh();
            }
        }
        return wanted.Count;
    }

    /// <summary>With the newest on top.</summary>
    private Stack<TrackedLink> FindUnattached(ImmutableDictionary<int, TrackedLink> links) =>
        new(links.Values.Where(link => options.IsPodInterface(link.Link) && IsUnattached(link)).OrderBy(link => link.Generation));

    private bool IsUnattached(TrackedLink link) =>
        !_attachments.TryGetValue(link.Link.Ifindex, out var attachment) || attachment.IsDue;

    /// <summary>Attaches one of the two programs. Returns whether the next may be tried at once.</summary>
    private bool TryAttach(TrackedLink tracked)
    {
        var link = tracked.Link;
        if (!_attachments.TryGetValue(link.Ifindex, out var attachment))
        {
            if (table.Current.ContainsKey(link.Ifindex) && !TryFreeIndex(link.Ifindex))
            {
                return false;
            }
            // What can fail comes before anything is noted.
            var network = networks?.Find(link.PeerNamespaceId) ?? 0;
            _attachments[link.Ifindex] = attachment = new(new(link, tracked.Generation, tracked.SeenAt, FindSibling(link)), time);
            LookForAddresses(attachment, now: true);
            records.Save(attachment.Owner, network);
            Identify(attachment);
            // Before it is attached: no row may come whose owner is unknown.
            table.Current = table.Current.SetItem(link.Ifindex, attachment.Owner);
        }
        try
        {
            // One at a time: with tcx each waits for a grace period, and a newer interface should not wait for more than one.
            var direction = attachment.Next;
            if (_adopted.Remove((link.Ifindex, direction), out var adopted))
            {
                attachment.Add(adopted);
                return true;
            }
            if (tracked.IsNew)
            {
                CountMissed(attachment, direction);
            }
            if (hook.TryAttach(link.Ifindex, direction) is not { } handle)
            {
                // Gone already; its event is on the way.
                attachment.RetryLater();
                return false;
            }
            if (handle.PinProblem is { } problem)
            {
                metrics.CountAttachError("pin");
                LogNotPinned(link.Name, problem);
            }
            var before = attachment.State;
            attachment.Add(handle);
            if (before == InterfaceState.Failed && attachment.State == InterfaceState.Attached)
            {
                LogAttachRecovered(link.Name);
            }
            return true;
        }
        catch (Exception e) when (e is BpfException or NetlinkException)
        {
            CountAttachError(e);
            if (attachment.State != InterfaceState.Failed)
            {
                LogAttachFailed(link.Name, e.Message);
            }
            attachment.Failed();
            return false;
        }
    }

    /// <summary>Another interface that leads to the same namespace.</summary>
    private PodInterface? FindSibling(Link link)
    {
        var sibling = _attachments.Values.FirstOrDefault(attachment => attachment.Owner.Link.PeerNamespaceId == link.PeerNamespaceId)?.Owner;
        // The id may have come back for another namespace, before it is heard of that the former one's interface is gone.
        return sibling is not null && client.GetLink(sibling.Ifindex)?.PeerNamespaceId == link.PeerNamespaceId ? sibling : null;
    }

    /// <summary>
    /// What an interface that came while the exporter runs, or since a former one has ended, has carried before it is attached. The packets of the moment in which
    /// it is being attached are not among them.
    /// </summary>
    private void CountMissed(Attachment attachment, TcDirection direction)
    {
        if (client.GetStatistics(attachment.Owner.Ifindex) is not { } statistics)
        {
            return;
        }
        var (transmitted, received) = attachment.Missed;
        if (direction == TcDirection.Ingress)
        {
            metrics.AddMissed(PodFamilies.TransmitDirection, statistics.ReceivedPackets - transmitted);
            transmitted = statistics.ReceivedPackets;
        }
        else
        {
            metrics.AddMissed(PodFamilies.ReceiveDirection, statistics.TransmittedPackets - received);
            received = statistics.TransmittedPackets;
        }
        attachment.Missed = (transmitted, received);
    }

    /// <summary>The index has come back before its former owner's last drain.</summary>
    private bool TryFreeIndex(int ifindex)
    {
        try
        {
            // A drain that goes on from one that failed has not begun after the former owner was detached.
            var closed = reader.Started;
            for (var attempt = 0; attempt < 2 && reader.Completed <= closed; attempt++)
            {
                reader.Drain();
            }
        }
        catch (BpfException)
        {
            // The drain loop reports it, and the interface's turn comes again.
            return false;
        }
        RemoveFromTable(table.Current[ifindex]);
        return true;
    }

    private void CheckCoverage()
    {
        var uncovered = _coverage.FindUncovered(client.GetStatistics(), table.Current);
        foreach (var (ifindex, attachment) in _attachments)
        {
            var name = attachment.Owner.Name;
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

    private void PublishStates(int pending)
    {
        foreach (var state in (ReadOnlySpan<InterfaceState>)[InterfaceState.Attached, InterfaceState.Failed, InterfaceState.Shadowed])
        {
            metrics.SetInterfaces(state, _attachments.Values.Count(attachment => attachment.State == state));
        }
        metrics.SetInterfaces(InterfaceState.Pending, pending);
    }

    [LoggerMessage(1, LogLevel.Error, "Cannot count {Interface}, trying again: {Reason}")]
    private partial void LogAttachFailed(string @interface, string reason);

    [LoggerMessage(2, LogLevel.Information, "{Interface} is counted now")]
    private partial void LogAttachRecovered(string @interface);

    [LoggerMessage(3, LogLevel.Warning, "The programs on {Interface} were removed by somebody else, attaching them again")]
    private partial void LogRemoved(string @interface);

    [LoggerMessage(4, LogLevel.Warning, "{Interface} carries packets that do not reach the exporter's programs, as when another program ends the chain before them")]
    private partial void LogShadowed(string @interface);

    [LoggerMessage(5, LogLevel.Information, "{Interface}'s packets reach the exporter's programs again")]
    private partial void LogCovered(string @interface);

    [LoggerMessage(6, LogLevel.Error, "Looking after the interfaces fails, trying again: {Reason}")]
    private partial void LogFailing(string reason);

    [LoggerMessage(7, LogLevel.Information, "Detached from {Count} of {All} interfaces")]
    private partial void LogDetached(int count, int all);

    [LoggerMessage(8, LogLevel.Information, "Removed {Count} filters that an earlier run had left")]
    private partial void LogLeftovers(int count);

    [LoggerMessage(12, LogLevel.Information, "Goes on with {Count} interfaces that were counted before")]
    private partial void LogRestored(int count);

    [LoggerMessage(14, LogLevel.Warning, "{Interface} is counted, but only until this process ends: {Reason}")]
    private partial void LogNotPinned(string @interface, string reason);

    [LoggerMessage(13, LogLevel.Information, "{Count} interfaces are counted on by the kernel")]
    private partial void LogLeft(int count);

    [LoggerMessage(9, LogLevel.Warning, "The addresses behind {Interface} cannot be asked for, trying again: {Reason}")]
    private partial void LogAddressesUnknown(string @interface, string reason);

    /// <summary>The drains after which, once they have ended with greater numbers, nothing is on its way any more.</summary>
    private readonly record struct Settlement(long Drain, long Handshakes);

    /// <summary>One interface that should be counted, or is being closed.</summary>
    private sealed class Attachment(PodInterface owner, TimeProvider time)
    {
        private readonly Backoff _retry = new(FirstRetry, LongestRetry);
        private TimeSpan _retryAfter;
        private long _triedAt;

        internal PodInterface Owner => owner;

        internal InterfaceState State
        {
            get => owner.State;
            set => owner.State = value;
        }

        internal AddressLookup Addresses { get; } = new(owner, time);

        /// <summary>Whether it has been told that its addresses cannot be asked for.</summary>
        internal bool IsSecretive { get; set; }

        /// <summary>What keeps the programs attached; null where they are not yet.</summary>
        internal TcAttachment? Ingress { get; private set; }

        internal TcAttachment? Egress { get; private set; }

        /// <summary>Which of the two is to be attached.</summary>
        internal TcDirection Next => Ingress is null ? TcDirection.Ingress : TcDirection.Egress;

        internal long ClosedAt { get; set; }

        /// <summary>What has been counted as missed, by direction.</summary>
        internal (ulong Transmitted, ulong Received) Missed { get; set; }

        internal Settlement Settlement { get; set; }

        /// <summary>Whether it is to be attached, now.</summary>
        internal bool IsDue => Egress is null && time.GetElapsedTime(_triedAt) >= _retryAfter;

        /// <summary>Takes over the first, and then the second.</summary>
        internal void Add(TcAttachment handle)
        {
            if (Ingress is null)
            {
                Ingress = handle;
                return;
            }
            Egress = handle;
            _retryAfter = default;
            _retry.Reset();
            State = InterfaceState.Attached;
        }

        internal void Failed()
        {
            State = InterfaceState.Failed;
            RetryLater();
        }

        internal void RetryLater()
        {
            _triedAt = time.GetTimestamp();
            _retryAfter = _retry.Next();
        }

        internal void Detach()
        {
            Ingress?.Dispose();
            Egress?.Dispose();
            (Ingress, Egress) = (null, null);
            State = InterfaceState.Pending;
        }
    }
}
