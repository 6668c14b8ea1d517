using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net.Sockets;
using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.Bpf.Tc;
using Exporter.Handshakes;
using Exporter.Health;
using Exporter.Metrics;
using Exporter.Pods;
using Exporter.Traffic;

namespace Exporter.Discovery;

/// <summary>
/// The only one who attaches and detaches: compares the interfaces that should be counted with those that are, whenever
/// something may have changed, and publishes whose they are.
/// </summary>
/// <param name="networks">Null where handshakes are not counted, as <paramref name="handshakes"/>.</param>
/// <param name="pins">Null where nothing is pinned.</param>
/// <param name="identifier">Null: interfaces are known by what rtnetlink says of them.</param>
internal sealed partial class InterfaceReconciler(
    LinkWatcher watcher,
    ChangeSignal changes,
    TcHook hook,
    LinkClient client,
    IPodSource pods,
    PodTable table,
    PodAccounts accounts,
    InterfaceRecords records,
    TrafficReader reader,
    ITrafficSource traffic,
    InterfaceMetrics metrics,
    LoopHealth health,
    Readiness readiness,
    TimeProvider time,
    AttachOptions options,
    IdentityOptions identityOptions,
    ILogger<InterfaceReconciler> logger,
    NamespaceOwners? networks = null,
    PodTrafficPrograms? programs = null,
    HandshakeReader? handshakes = null,
    TcpHandshakePrograms? handshakePrograms = null,
    PinDirectory? pins = null,
    LinkIdentifier? identifier = null) : BackgroundService
{
    private const string LoopName = "reconcile";

    /// <summary>How long a backlog may be attached, taken over or detached before everything else has its turn.</summary>
    private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Courtesy = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);
    /// <summary>After a round of which a part has failed, whatever else there is to do.</summary>
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Dictionary<int, Attachment> _attachments = [];

    /// <summary>What pods were counted in that are shown otherwise now; the drain may be adding to it still.</summary>
    private readonly List<(IPodAccount Counts, DrainMark Mark)> _replaced = [];

    /// <summary>What others want done between two rounds, since nobody else attaches.</summary>
    private readonly ConcurrentQueue<Action> _requests = [];

    /// <summary>Objects whose programs were replaced; the drain may be asking about them still.</summary>
    private readonly List<(BpfObject Object, DrainMark Mark)> _formerObjects = [];

    /// <summary>Interfaces that a former process has counted, until the first round.</summary>
    private readonly List<PodInterface> _restored = [];

    /// <summary>Indexes of interfaces of which it is not known whose packets they have carried before.</summary>
    private readonly HashSet<int> _withUnknownPast = [];

    /// <summary>What a former process has attached, and no interface was given yet.</summary>
    private readonly Dictionary<(int Ifindex, TcDirection Direction), TcAttachment> _adopted = [];

    /// <summary>What keeps one from being taken over, in the order in which it was found.</summary>
    private readonly List<Exception> _adoptionProblems = [];

    private readonly DrainMarks _marks = new(reader, handshakes);
    private readonly CoverageCheck _coverage = new();
    private readonly ReconcileStep _adopting = new("take over what a previous process has attached", time);
    private readonly ReconcileStep _sweeping = new("remove filters of an earlier run", time);
    private readonly ReconcileStep _refreshing = new("look for the names of namespaces", time);
    private readonly ReconcileStep _attaching = new("attach", time);
    private readonly ReconcileStep _identifying = new("identify", time);
    private readonly ReconcileStep _checking = new("check coverage", time);
    private readonly ReconcileStep _publishing = new("publish the owners of network namespaces", time);
    private readonly Trouble _pinning = new();
    private readonly Trouble _detaching = new();
    private readonly Trouble _pinLoss = new();
    private Departures? _departures;
    private IEnumerator<TcAttachment>? _left;
    private long _coverageCheckedAt = time.GetTimestamp();
    private long _coverageCheckedAtDrain;
    private bool _hasFailed;
    private bool _hasAdopted;
    private bool _hasSwept;
    private bool _isNamed;

    /// <summary>Whether what is being taken over is found by its pins; else the previous reconciler of this process has handed it on.</summary>
    private bool _isFromPins;

    /// <summary>How long detaching may take when this stops; null: what is attached stays so, for who comes next.</summary>
    internal TimeSpan? Detaching { get; set; } = TimeSpan.MaxValue;

    private Departures Departures => _departures ??= new(time, _marks, hook, OnDetachFailed);

    private IEnumerable<TcAttachment> Attached => _attachments.Values.SelectMany(attachment => attachment.Handles).Concat(Departures.Handles);

    /// <summary>
    /// Has an object's traffic programs take the place of those that are attached, on every interface, once it was tried out.
    /// </summary>
    /// <exception cref="BpfException">It is refused; the former go on.</exception>
    internal async Task ReplaceTrafficAsync(byte[] elf, CancellationToken cancellationToken)
    {
        await Task.Run(() => PacketTrial.Run(elf), cancellationToken);
        await RequestAsync(() => ReplaceTraffic(elf), cancellationToken);
    }

    /// <summary>The same with the programs of handshakes.</summary>
    /// <exception cref="BpfException">It is refused; the former go on.</exception>
    internal Task ReplaceHandshakesAsync(byte[] elf, CancellationToken cancellationToken) => RequestAsync(
        () =>
        {
            try
            {
                (handshakePrograms ?? throw new BpfException("replace the programs of handshakes: there are none", Errno.ENOENT)).Replace(elf, LoopbackTrial.FindUnseen);
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
        var links = client.GetLinks().Select(link => (Link: link, Identity: identifier?.Identify(link) ?? default)).ToDictionary(entry => entry.Link.Ifindex);
        // Before the first drain, too: handshakes that come before their interface is published are held.
        table.PeerNamespaces = links.Values.Select(link => link.Identity.PeerNamespace).Where(number => number != 0).ToFrozenSet();
        var restored = records.Restore();
        if (restored.Count > 0)
        {
            Restore(restored, links);
            LogRestored(restored.Count);
        }
        reader.Restore(generation => _restored.Find(owner => owner.Generation == generation));
        handshakes?.Restore();
    }

    /// <param name="restored">Oldest first.</param>
    private void Restore(IReadOnlyList<PodInterface> restored, Dictionary<int, (Link Link, LinkIdentity Identity)> links)
    {
        // Who has series goes before those that had no room.
        foreach (var owner in restored.OrderBy(owner => owner.Pod is { } pod && accounts.HasSeries(pod) ? 0 : 1))
        {
            owner.Counts = owner.Pod is { } pod ? accounts.Acquire(pod) : null;
        }
        var proven = new Dictionary<PodInterface, TrackedLink>();
        // Of two that had the index, the older was gone, and nothing of it is in the maps that is not of the newer.
        foreach (var owner in restored.GroupBy(owner => owner.Ifindex).Select(same => same.Last()))
        {
            var isThere = links.TryGetValue(owner.Ifindex, out var now);
            var proof = isThere ? LinkProofs.Find(owner.Link, owner.Identity, now.Link, now.Identity, identifier?.HasCookies == true) : LinkProof.Another;
            switch (proof)
            {
                case LinkProof.Same:
                    owner.Identity = now.Identity.Or(owner.Identity);
                    proven[owner] = new(now.Link, owner.Generation, IsNew: false, owner.SeenAt, owner.BornAfter) { Identity = owner.Identity };
                    table.Current = table.Current.SetItem(owner.Ifindex, owner);
                    break;
                case LinkProof.Another:
                    table.Current = table.Current.SetItem(owner.Ifindex, owner);
                    break;
                default:
                    // Rows without an owner are unattributed, which is better than on a wrong pod.
                    _withUnknownPast.Add(owner.Ifindex);
                    break;
            }
            if (proof == LinkProof.Unproven)
            {
                metrics.UnprovenInterfaces.Inc();
                LogUnproven(owner.Name);
            }
        }
        watcher.Links.Restore([.. proven.Values], restored[^1].Generation);
        // A number that may have come back is no namespace's that is not known to be there still.
        var located = restored.Where(owner => owner.Identity.PeerNamespace != 0 && (identifier?.HasCookies == true || proven.ContainsKey(owner))).ToList();
        foreach (var same in located.GroupBy(owner => owner.Identity.PeerNamespace))
        {
            var first = same.First();
            foreach (var owner in same.Skip(1))
            {
                owner.Sibling = first;
            }
        }
        _restored.AddRange(restored.OrderBy(owner => proven.ContainsKey(owner) ? 1 : 0).ThenByDescending(owner => owner.Generation));
        networks?.Publish(_restored.Where(located.Contains));
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (Detaching is not { } budget)
        {
            Leave();
            LogLeft(_attachments.Count);
            return;
        }
        var all = _attachments.Count;
        foreach (var attachment in _attachments.Values.ToList())
        {
            Close(attachment);
        }
        Departures.DetachSome(budget);
        LogDetached(all - Departures.Handles.Select(handle => handle.Ifindex).Distinct().Count(), all);
    }

    /// <summary>To the next reconciler of this process; the next process finds what is pinned.</summary>
    private void Leave()
    {
        while (_left is not null && !_isFromPins && _left.MoveNext())
        {
            _adopted[(_left.Current.Ifindex, _left.Current.Direction)] = _left.Current;
        }
        // What was not taken over to the end from pins is there for the next one to take over.
        if (_hasAdopted || !_isFromPins)
        {
            List<TcAttachment> left = [.. Attached, .. _adopted.Values];
            if (left.Count > 0 || _hasAdopted)
            {
                hook.Leave(left);
            }
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        health.Beat(LoopName, Idle + Patience);
        // What follows takes long, and must not run inside of the one who starts this.
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            var hasMore = Reconcile(stoppingToken);
            health.Beat(LoopName, Idle + Patience);
            if (_hasFailed)
            {
                metrics.ReconcileErrors.Inc();
                await Task.Delay(PauseAfterFailure, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            if (!hasMore)
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
        foreach (var attachment in _attachments.Values.Where(attachment => attachment.IsPrepared))
        {
            wait = attachment.Addresses.Due is { } due && due < wait ? due : wait;
        }
        return wait;
    }

    /// <summary>One round; what fails in it does not keep the rest from being done. Returns whether there is more to do at once.</summary>
    private bool Reconcile(CancellationToken stoppingToken)
    {
        _hasFailed = false;
        var (pending, hasMore) = (0, false);
        if (!_hasAdopted)
        {
            hasMore = Try(_adopting, AdoptSome) && !_hasAdopted;
        }
        if (_hasAdopted && !_hasSwept)
        {
            _hasSwept = Try(_sweeping, RemoveLeftovers);
        }
        while (_hasAdopted && _requests.TryDequeue(out var request))
        {
            request();
        }
        if (Try(_attaching, () => pending = AttachNew(stoppingToken)) && _hasAdopted)
        {
            readiness.Has(LoopName);
        }
        Try(_identifying, IdentifyAll);
        hasMore |= Departures.DetachSome(Slice);
        ForgetClosed();
        if (time.GetElapsedTime(_coverageCheckedAt) >= options.CoverageInterval && reader.Completed > _coverageCheckedAtDrain)
        {
            (_coverageCheckedAt, _coverageCheckedAtDrain) = (time.GetTimestamp(), reader.Started);
            CheckPins();
            Try(_checking, CheckCoverage);
        }
        PublishStates(pending);
        Try(_publishing, PublishNamespaces);
        return hasMore || (pending > 0 && !_attaching.IsFailing);
    }

    /// <summary>Whether it has run to its end.</summary>
    private bool Try(ReconcileStep step, Action action)
    {
        var wasFailing = step.IsFailing;
        var isDone = step.Try(action, failure =>
        {
            _hasFailed = true;
            if (!wasFailing)
            {
                LogFailing(step.Name, failure.Message);
            }
        });
        if (isDone && wasFailing)
        {
            LogRecovered(step.Name);
        }
        return isDone;
    }

    /// <summary>Of two interfaces of one pod the older one stands for its namespace, and none that is gone while there is another.</summary>
    private void PublishNamespaces() =>
        networks?.Publish(_restored.Concat(Departures.All.Select(attachment => attachment.Owner))
            .Concat(_attachments.Values.Where(attachment => attachment.IsPrepared).Select(attachment => attachment.Owner).OrderByDescending(owner => owner.Generation)));

    /// <summary>
    /// Takes over some of what a previous process has left attached; the programs of this process take the place of the previous ones.
    /// </summary>
    private void AdoptSome()
    {
        if (_left is null)
        {
            var left = hook.TakeLeft();
            _isFromPins = left is null;
            _left = (left ?? hook.Adopt(_adoptionProblems)).GetEnumerator();
        }
        try
        {
            var started = time.GetTimestamp();
            while (time.GetElapsedTime(started) < Slice)
            {
                if (!_left.MoveNext())
                {
                    EndAdopting();
                    return;
                }
                _adopted[(_left.Current.Ifindex, _left.Current.Direction)] = _left.Current;
            }
        }
        catch
        {
            // What could be asked for is asked for again.
            _left = null;
            throw;
        }
    }

    /// <summary>Gives interfaces that a previous process has counted their programs again, and removes what it has left otherwise.</summary>
    private void EndAdopting()
    {
        foreach (var problem in _adoptionProblems)
        {
            OnDetachFailed(problem);
        }
        traffic.EndFormer();
        var links = watcher.Links.Current;
        foreach (var owner in _restored)
        {
            var attachment = new Attachment(owner, time) { IsPrepared = true };
            var isThere = false;
            if (links.TryGetValue(owner.Ifindex, out var link) && link.Generation == owner.Generation)
            {
                (isThere, owner.Link) = (true, link.Link);
                while (attachment.Egress is null && _adopted.Remove((owner.Ifindex, attachment.Next), out var handle))
                {
                    attachment.Add(handle);
                }
            }
            if (attachment.Egress is null)
            {
                // Somebody has removed them; what they have counted is still to be read.
                attachment.DetachedAt = 0;
            }
            if (isThere && options.IsPodInterface(owner.Link))
            {
                _attachments[owner.Ifindex] = attachment;
                records.Save(owner);
            }
            else
            {
                // It is gone, or is not to be counted any more.
                Close(attachment);
            }
        }
        _restored.Clear();
        foreach (var (key, handle) in _adopted.Where(entry => !links.TryGetValue(entry.Key.Ifindex, out var link) || !options.IsPodInterface(link.Link)).ToList())
        {
            Departures.Add(handle);
            _adopted.Remove(key);
        }
        _hasAdopted = true;
    }

    /// <summary>Also with tcx: an earlier run may have used clsact.</summary>
    private void RemoveLeftovers()
    {
        var leftovers = hook.RemoveStrays();
        if (leftovers > 0)
        {
            LogLeftovers(leftovers);
        }
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
        catch (KernelException)
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
        _formerObjects.Add((former, _marks.Now));
    }

    /// <summary>The one interface that cannot go back keeps the programs that were refused elsewhere, which count into the same maps.</summary>
    private void GoBack(TcAttachment attached)
    {
        try
        {
            TryRenew(attached);
        }
        catch (KernelException e)
        {
            metrics.CountAttachError(e.Reason);
        }
    }

    /// <summary>Pins that somebody has removed are made again. Where the directory itself is gone nothing can be.</summary>
    private void CheckPins()
    {
        if (pins is null)
        {
            return;
        }
        var isLost = pins.IsLost;
        if (isLost ? _pinLoss.Begins() : _pinLoss.Ends())
        {
            if (isLost)
            {
                metrics.CountAttachError("pin");
                LogPinsLost(pins.Path);
            }
            else
            {
                LogPinsFound(pins.Path);
            }
        }
        var repaired = 0;
        foreach (var handle in Attached.Where(handle => !handle.IsPinned))
        {
            try
            {
                handle.Pin();
                repaired++;
            }
            catch (PinException e)
            {
                OnPinFailed(e.Message);
                return;
            }
        }
        if (repaired > 0)
        {
            LogPinnedAgain(repaired);
        }
        _pinning.Ends();
    }

    private void OnPinFailed(string problem)
    {
        metrics.CountAttachError("pin");
        if (_pinning.Begins())
        {
            LogNotPinned(problem);
        }
    }

    private void OnDetachFailed(Exception problem)
    {
        metrics.CountAttachError(problem is PinException ? "pin" : "other");
        if (_detaching.Begins())
        {
            LogNotDetached(problem.Message);
        }
    }

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
                Update(attachment, link);
            }
            else
            {
                Close(attachment);
            }
        }
    }

    private void Update(Attachment attachment, TrackedLink link)
    {
        var owner = attachment.Owner;
        owner.Link = link.Link;
        var identity = link.Identity.Or(owner.Identity);
        if (identity.PeerNamespace == 0 && identifier?.FindsNamespaces == true)
        {
            identity = identifier.Identify(link.Link).Or(identity);
        }
        if (identity != owner.Identity)
        {
            owner.Identity = identity;
            if (attachment.IsPrepared)
            {
                records.Save(owner);
            }
        }
    }

    private void Close(Attachment attachment)
    {
        if (_attachments.GetValueOrDefault(attachment.Owner.Ifindex) == attachment)
        {
            _attachments.Remove(attachment.Owner.Ifindex);
        }
        Departures.Add(attachment);
    }

    /// <summary>
    /// An interface that is gone stays in the table until a drain has begun after its programs were detached and has ended: then
    /// nothing of it is in the maps. It is forgotten when all that it carried is with its pod, or its pod did not become known.
    /// </summary>
    private void ForgetClosed()
    {
        Departures.RemoveAll(attachment =>
        {
            var owner = attachment.Owner;
            if (!_marks.HasPassed(attachment.Mark))
            {
                return false;
            }
            RemoveFromTable(owner);
            if (owner.Counts is null && time.GetElapsedTime(attachment.ClosedAt) < identityOptions.HoldFor)
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
            var isSettled = _marks.HasPassed(former.Mark);
            if (isSettled)
            {
                former.Object.Dispose();
            }
            return isSettled;
        });
        _replaced.RemoveAll(replaced =>
        {
            var isSettled = _marks.HasPassed(replaced.Mark);
            if (isSettled)
            {
                Release(replaced.Counts);
            }
            return isSettled;
        });
    }

    private void Release(IPodAccount? counts)
    {
        if (counts is not null)
        {
            accounts.Release(counts);
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
        var prepared = _attachments.Values.Where(attachment => attachment.IsPrepared).ToList();
        prepared.ForEach(attachment => LookForAddresses(attachment, now: hasChanged));
        List<Attachment> asked = [.. Departures.All.Concat(prepared).Where(attachment => hasChanged || attachment.Owner.Pod is null)];
        if (asked.Count > 0 && TryRefresh())
        {
            asked.ForEach(Identify);
        }
    }

    /// <summary>Brings what the source knows up to date. Returns whether it is.</summary>
    private bool TryRefresh() => _isNamed = Try(_refreshing, pods.Refresh);

    /// <summary>One namespace that does not tell must not keep the others' pods unknown.</summary>
    private void LookForAddresses(Attachment attachment, bool now)
    {
        try
        {
            attachment.Addresses.Look(client, now);
        }
        catch (NetlinkException e)
        {
            if (attachment.AddressTrouble.Begins())
            {
                LogAddressesUnknown(attachment.Owner.Name, e.Message);
            }
        }
    }

    /// <summary>Also of those whose pod is known: it may be shown otherwise from now on, or another's.</summary>
    private void Identify(Attachment attachment)
    {
        var owner = attachment.Owner;
        var pod = pods.Identify(owner);
        if (pod == owner.Pod || (pod is null && !pods.IsWrong(owner)))
        {
            return;
        }
        if (pod is null)
        {
            LogReleased(owner.Name, owner.Pod!.Namespace, owner.Pod.Name);
        }
        var before = owner.Counts;
        owner.Counts = pod is null ? null : accounts.Acquire(pod);
        owner.Pod = pod;
        records.Save(owner);
        // What was held until now is credited by the next drain.
        attachment.Mark = _marks.Now;
        if (before is not null)
        {
            _replaced.Add((before, attachment.Mark));
        }
    }

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
            TryRefresh();
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
                TryRefresh();
            }
        }
        return wanted.Count;
    }

    /// <summary>With the newest on top.</summary>
    private Stack<TrackedLink> FindUnattached(ImmutableDictionary<int, TrackedLink> links) =>
        new(links.Values.Where(link => options.IsPodInterface(link.Link) && IsUnattached(link) && MayAttach(link)).OrderBy(link => link.Generation));

    /// <summary>Until all is taken over, an interface that was there before may have programs already.</summary>
    private bool MayAttach(TrackedLink link) => _hasAdopted || (link.IsNew && !_restored.Exists(owner => owner.Ifindex == link.Link.Ifindex));

    private bool IsUnattached(TrackedLink link) =>
        !_attachments.TryGetValue(link.Link.Ifindex, out var attachment) || attachment.IsDue;

    /// <summary>Attaches one of the two programs. Returns whether the next may be tried at once.</summary>
    private bool TryAttach(TrackedLink tracked)
    {
        var link = tracked.Link;
        if (!_attachments.TryGetValue(link.Ifindex, out var attachment))
        {
            _attachments[link.Ifindex] = attachment = new(new(link, tracked.Generation, tracked.SeenAt) { BornAfter = tracked.BornAfter, Identity = tracked.Identity }, time);
        }
        try
        {
            if (!attachment.IsPrepared && !TryPrepare(attachment, tracked.IsNew))
            {
                attachment.RetryLater();
                return false;
            }
            // One at a time: with tcx each waits for a grace period, and a newer interface should not wait for more than one.
            var direction = attachment.Next;
            if (_adopted.Remove((link.Ifindex, direction), out var adopted))
            {
                attachment.Add(adopted);
                return true;
            }
            if (attachment.DetachedAt is { } detachedAt && (!Departures.TryDetach(link.Ifindex) || !TryDrainAfter(detachedAt)))
            {
                attachment.RetryLater();
                return false;
            }
            CountMissed(attachment.Owner, direction);
            if (hook.TryAttach(link.Ifindex, direction) is not { } handle)
            {
                // Gone already; its event is on the way.
                attachment.RetryLater();
                return false;
            }
            if (handle.PinProblem is { } problem)
            {
                OnPinFailed(problem);
            }
            var before = attachment.State;
            attachment.Add(handle);
            records.Save(attachment.Owner);
            if (before == InterfaceState.Failed && attachment.State == InterfaceState.Attached)
            {
                LogAttachRecovered(link.Name);
            }
            return true;
        }
        catch (KernelException e)
        {
            metrics.CountAttachError(e.Reason);
            if (attachment.State != InterfaceState.Failed)
            {
                LogAttachFailed(link.Name, e.Message);
            }
            attachment.Failed();
            return false;
        }
    }

    /// <summary>
    /// Finds what there is to know of an interface, and publishes its owner: no row may come whose owner is unknown. Returns whether the
    /// index is free for it.
    /// </summary>
    private bool TryPrepare(Attachment attachment, bool isNew)
    {
        var owner = attachment.Owner;
        var isPastUnknown = _withUnknownPast.Contains(owner.Ifindex);
        if (!Departures.TryDetach(owner.Ifindex) || ((isPastUnknown || table.Current.ContainsKey(owner.Ifindex)) && !TryFreeIndex(owner.Ifindex)))
        {
            return false;
        }
        if (isNew && !isPastUnknown)
        {
            owner.Uncounted = new(0, 0);
        }
        owner.Sibling = FindSibling(owner);
        LookForAddresses(attachment, now: true);
        records.Save(owner);
        if (_isNamed)
        {
            Identify(attachment);
        }
        table.Current = table.Current.SetItem(owner.Ifindex, owner);
        _withUnknownPast.Remove(owner.Ifindex);
        attachment.IsPrepared = true;
        return true;
    }

    /// <summary>Another interface that leads to the same namespace.</summary>
    private PodInterface? FindSibling(PodInterface owner)
    {
        var others = _attachments.Values.Where(attachment => attachment.IsPrepared && attachment.Owner != owner).Select(attachment => attachment.Owner);
        if (identifier?.HasCookies == true && owner.Identity.PeerNamespace != 0)
        {
            return others.Where(other => other.Identity.PeerNamespace == owner.Identity.PeerNamespace).MinBy(other => other.Generation);
        }
        var id = owner.Link.PeerNamespaceId;
        var sibling = others.FirstOrDefault(other => other.Link.PeerNamespaceId == id);
        // The id may have come back for another namespace, before it is heard of that the previous one's interface is gone.
        return sibling is not null && client.GetLink(sibling.Ifindex)?.PeerNamespaceId == id ? sibling : null;
    }

    /// <summary>
    /// What an interface has carried since its programs were last there, or since it was made. The packets of the moment in which it is being
    /// attached to are not among them. Called when all that its programs have counted is read.
    /// </summary>
    private void CountMissed(PodInterface owner, TcDirection direction)
    {
        if (client.GetStatistics(owner.Ifindex) is not { } statistics)
        {
            return;
        }
        var before = owner.Uncounted;
        if (direction == TcDirection.Ingress)
        {
            var now = Difference(statistics.ReceivedPackets, owner.Totals.Transmitted.Packets);
            metrics.AddUnattached(PodFamilies.TransmitDirection, Difference(now, before.Transmitted ?? now));
            owner.Uncounted = before with { Transmitted = now };
        }
        else
        {
            // The programs see what the interface drops itself, too.
            var now = Difference(statistics.TransmittedPackets + statistics.TransmitDropped, owner.Totals.Received.Packets);
            metrics.AddUnattached(PodFamilies.ReceiveDirection, Difference(now, before.Received ?? now));
            owner.Uncounted = before with { Received = now };
        }
    }

    private static ulong Difference(ulong all, ulong part) => all > part ? all - part : 0;

    /// <summary>The index has come back before its previous owner's last drain.</summary>
    private bool TryFreeIndex(int ifindex)
    {
        if (!TryDrainAfter(reader.Started))
        {
            return false;
        }
        table.Current = table.Current.Remove(ifindex);
        return true;
    }

    /// <summary>Drains unless a drain that began after this one has ended.</summary>
    private bool TryDrainAfter(long drain)
    {
        try
        {
            // A drain that resumes one that failed has not begun after it.
            for (var attempt = 0; attempt < 2 && reader.Completed <= drain; attempt++)
            {
                reader.Drain();
            }
        }
        catch (BpfException)
        {
            // The drain loop reports it, and the interface's turn comes again.
        }
        return reader.Completed > drain;
    }

    private void CheckCoverage()
    {
        var uncovered = _coverage.FindUncovered(client.GetStatistics(), table.Current);
        foreach (var (ifindex, attachment) in _attachments.Where(entry => entry.Value.IsPrepared))
        {
            var name = attachment.Owner.Name;
            switch (attachment.State)
            {
                case InterfaceState.Attached or InterfaceState.Shadowed when uncovered.Contains(ifindex) && !hook.IsAttached(ifindex):
                    metrics.CountAttachError("removed");
                    LogRemoved(name);
                    foreach (var handle in attachment.TakeHandles())
                    {
                        Departures.Add(handle);
                    }
                    Departures.TryDetach(ifindex);
                    attachment.DetachedAt = reader.Started;
                    health.Beat(LoopName, Idle + Patience);
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

    [LoggerMessage(1, LogLevel.Error, "Attaching to {Interface} failed, retrying: {Reason}")]
    private partial void LogAttachFailed(string @interface, string reason);

    [LoggerMessage(2, LogLevel.Information, "Attached to {Interface} after earlier failures")]
    private partial void LogAttachRecovered(string @interface);

    [LoggerMessage(3, LogLevel.Warning, "Another process removed the programs on {Interface}, attaching them again")]
    private partial void LogRemoved(string @interface);

    [LoggerMessage(4, LogLevel.Warning, "{Interface} carries packets that do not reach the exporter's programs, as when another program ends the chain before them")]
    private partial void LogShadowed(string @interface);

    [LoggerMessage(5, LogLevel.Information, "{Interface}'s packets reach the exporter's programs again")]
    private partial void LogCovered(string @interface);

    [LoggerMessage(6, LogLevel.Error, "Reconciling interfaces failed ({Step}), retrying: {Reason}")]
    private partial void LogFailing(string step, string reason);

    [LoggerMessage(15, LogLevel.Information, "Reconciling interfaces works again ({Step})")]
    private partial void LogRecovered(string step);

    [LoggerMessage(16, LogLevel.Warning, "Programs or pins could not be removed: {Reason}; further ones are counted in podnet_exporter_attach_errors_total and not logged")]
    private partial void LogNotDetached(string reason);

    [LoggerMessage(17, LogLevel.Warning, "Made {Count} pins again that another process had removed")]
    private partial void LogPinnedAgain(int count);

    [LoggerMessage(18, LogLevel.Error, "{Directory} was removed, or another file system was mounted over it: interfaces are counted until this process ends, and the next starts from zero. "
        + "Restart the exporter to pin again")]
    private partial void LogPinsLost(string directory);

    [LoggerMessage(19, LogLevel.Information, "{Directory} exists again")]
    private partial void LogPinsFound(string directory);

    [LoggerMessage(7, LogLevel.Information, "Detached from {Count} of {All} interfaces")]
    private partial void LogDetached(int count, int all);

    [LoggerMessage(8, LogLevel.Information, "Removed {Count} filters left by an earlier run")]
    private partial void LogLeftovers(int count);

    [LoggerMessage(100, LogLevel.Warning, "Nothing proves that {Interface} is the one that was counted before: it is taken for another, and what it has carried meanwhile is unattributed")]
    private partial void LogUnproven(string @interface);

    [LoggerMessage(12, LogLevel.Information, "Resumed {Count} interfaces from the previous process")]
    private partial void LogRestored(int count);

    [LoggerMessage(14, LogLevel.Warning, "Interfaces are counted, but some only until this process ends, since their programs cannot be pinned: {Reason}")]
    private partial void LogNotPinned(string reason);

    [LoggerMessage(13, LogLevel.Information, "Left programs attached to {Count} interfaces")]
    private partial void LogLeft(int count);

    [LoggerMessage(9, LogLevel.Warning, "Reading the addresses behind {Interface} failed, retrying: {Reason}")]
    private partial void LogAddressesUnknown(string @interface, string reason);

    [LoggerMessage(101, LogLevel.Warning, "{Interface} no longer belongs to pod {Namespace}/{Pod}: the pod has other addresses. Its traffic is unattributed until its pod is found")]
    private partial void LogReleased(string @interface, string @namespace, string pod);
}
