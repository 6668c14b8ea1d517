using Exporter.Bpf;
using Exporter.Export;
using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>
/// Ends an interval with each drain: reads the flows, remembers them, commits the header of the interval, and writes its records. The rows stay in the kernel
/// until the next drain, so that a process that was killed can write the same records again.
/// </summary>
internal sealed class FlowDrain : SignalDrain
{
    private readonly LoadedFlows _loaded;
    private readonly FlowOptions _options;
    private readonly FlowBook _book;
    private readonly FlowExport _export;
    private readonly FlowEnds _ends;
    private readonly FlowTable _table;
    private readonly FlowMetrics _metrics;
    private readonly FlowEdges? _edges;
    private readonly FlowBackends _backends;
    private readonly FlowWriter? _writer;
    private readonly IFlowShaper _shaper;
    private readonly RecordObserver _observer;
    private readonly SessionContext _context;
    private readonly FlowInterval _interval = new();
    private readonly Action<FlowKey, uint, FlowSight> _addSilent;
    private readonly Func<FlowKey, (bool IsLocalSource, FlowOrientation Orientation)> _guess;
    private DateTimeOffset _steadyAt;
    private volatile bool _isStopping;

    /// <summary>Of the interval that is taken up.</summary>
    private FlowClock _steady;
    private long _drainedAt;
    private long _forgotten;
    private bool _isKept;
    private bool _isLast;

    internal FlowDrain(LoadedFlows loaded, FlowOptions options, FlowBook book, FlowExport export, RecordObserver observer, IFlowShaper shaper, LastInterval last, SessionContext context)
        : base(FlowBook.Fields)
    {
        (_loaded, _options, _book, _export, _observer, _shaper, _context) = (loaded, options, book, export, observer, shaper, context);
        (_ends, _table, _metrics) = (new(context.Pods, context.Peers, loaded.MakeNodeAddresses(context)), loaded.OpenTable(book, context), new(context.Metrics));
        _backends = new(options.MaxLookups, options.MaxFlows, loaded.FindBackend, _metrics);
        _writer = options.HasRecords ? new(export, new(_ends, _backends), shaper, new(context.Pods, _ends, options.IdentityInterval), () => Hurries, () => Leaves, last, _metrics) : null;
        _edges = context.Edges is { } edges ? new(edges, _ends, context) : null;
        var (steady, began) = (FlowClock.SteadyNow(context.Time), book.SteadyAt > loaded.MadeAt ? book.SteadyAt : loaded.MadeAt ?? book.SteadyAt);
        _steadyAt = began < steady ? began.Value : steady;
        (_addSilent, _guess) = (AddSilent, _ends.Guess);
        // Sinks may not have the last interval of the session before.
        loaded.Flows!.Reread();
        Loop = new FlowLoop(this, loaded, context);
    }

    internal override TimeSpan Interval => _options.Interval;

    internal override bool IsByInterface => true;

    internal override bool HasOwnLoop => true;

    internal override bool KeepsRows => true;

    /// <summary>A record, and an edge, has the names of its interval's reading for good.</summary>
    internal override Task WaitToBeginAsync(CancellationToken cancelled) => _context.Names?.WaitAsync(cancelled) ?? Task.CompletedTask;

    internal override BackgroundService Loop { get; }

    internal override BackgroundService Output => _export;

    /// <summary>Whether the interval is over, or the map nearly full: nothing waits for a sink then.</summary>
    private bool IsDue => _isStopping || IsAwaited || _context.Time.GetElapsedTime(Volatile.Read(ref _drainedAt)) >= Interval || FlowLoop.IsNearlyFull(_loaded);

    /// <summary>Whether the oldest records give way, since another interval waits.</summary>
    private bool Hurries => IsDue && !IsLast;

    /// <summary>Whether an interval that finds no room stays in the map, for the next process or session: the sinks had as long for it as they have at the end.</summary>
    private bool Leaves => IsLast && _context.Time.GetElapsedTime(_drainedAt) >= ExportCursor.DefaultGrace;

    /// <summary>Whether the interval that is written is the last one, as far as is known.</summary>
    private bool IsLast => _isLast && !IsAwaited;

    /// <summary>Has the drain wait for no sink any more, and the next ones only for the time of an end.</summary>
    internal void Hurry() => _isStopping = true;

    internal override void Restore(IReadOnlyList<PodInterface> restored)
    {
        lock (_context.Ledger.Lock)
        {
            _edges?.Restore(restored);
            _context.Ledger.Commit();
        }
    }

    internal override void EndPrevious() => _loaded.Flows!.EndPrevious();

    private protected override void ReleaseKept()
    {
        if (_isKept)
        {
            _isKept = false;
            _loaded.Flows!.Release();
        }
    }

    private protected override void DrainRows()
    {
        CloseInterval();
        ReleaseKept();
        var flows = _loaded.Flows!;
        for (var isLast = false; !isLast;)
        {
            if (Started > 1)
            {
                // Before, not all interfaces are known: the first one would be alone, and might have the whole map.
                _loaded.Limits.Interfaces = _context.Pods.Current.Count;
            }
            var rows = flows.Read(out var read);
            isLast = read.IsLast;
            var hasRecords = TakeUp(rows, read, MakeHeader(read.Map!.Value.Map));
            flows.Keep();
            _isKept = isLast;
            if (hasRecords)
            {
                Volatile.Write(ref _drainedAt, _context.Time.GetTimestamp());
                _backends.Ask(_interval.Context.End - _interval.Context.Start);
                _isLast = isLast && _isStopping;
                _writer?.Write(_interval, rows);
            }
            if (!isLast)
            {
                CloseInterval();
                flows.Release();
            }
        }
        _metrics.CountForgotten(_table.Forgotten - _forgotten);
        _forgotten = _table.Forgotten;
    }

    /// <summary>Commits the sinks' counts before the rows of the last interval are gone: from then on its records are in the ring alone.</summary>
    private void CloseInterval()
    {
        _writer?.Close();
        lock (_context.Ledger.Lock)
        {
            _export.Save();
            _book.Close();
            _context.Ledger.Commit();
        }
    }

    /// <summary>Takes the rows into the table and the interval, and commits. Returns whether they have records to be written.</summary>
    private bool TakeUp(ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows, in RowsRead read, FlowHeader header)
    {
        lock (_context.Ledger.Lock)
        {
            if (read.IsCommitted)
            {
                var repeated = _book.FindRepeat(header.Map, header.Digest, out var isChanged);
                if (repeated is null || read.IsPrevious)
                {
                    if (isChanged || repeated is not null)
                    {
                        // Of another layout the same records cannot be made.
                        _export.LoseChanged(_book.Interval, MostRecords(rows));
                    }
                    return false;
                }
                header = repeated.Value;
            }
            else
            {
                var before = _book.Interval;
                if (_book.Begin(header))
                {
                    // Its rows, of another pair of maps, are read later, if at all in this process.
                    _export.LoseChanged(before, _table.Count + (2 * _context.Pods.Current.Count * (long)RestCounts.Reasons.Count));
                }
            }
            _steady = header.Steady;
            _interval.Begin(new(_observer, (long)header.Interval, header.Clock.ReadAt, header.Start, header.Clock.ReadAt, _shaper.Addresses), header.Clock, header.Budget);
            _ends.Refresh(header.Clock.ReadAt, _steady.ReadAt);
            _table.Begin(header.Interval);
            _backends.Begin();
            Add(rows, read);
            if (read.IsCommitted || read.IsLast)
            {
                // Else flows that are not there may be in the map that is read next.
                _table.Sweep(header.Steady, _addSilent);
            }
            if (!read.IsCommitted)
            {
                _edges?.Flush();
            }
            _export.Save();
            _context.Ledger.Commit([read.Map!.Value]);
            _table.End();
            _steadyAt = header.Steady.ReadAt;
        }
        return true;
    }

    /// <summary>
    /// The most records that the last interval can have had, of which these are the rows: of a flow one, also of one that was silent, and of a rest one for each
    /// reason. Rests of what filters or sampling excluded take the place of flows.
    /// </summary>
    private long MostRecords(ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows)
    {
        var most = _table.CountSilent(_book.Interval);
        foreach (ref readonly var row in rows)
        {
            most += row.Key.IsFlow ? 1 : RestCounts.Reasons.Count;
        }
        return most;
    }

    /// <summary>The header of the interval that was just read. Its length is by a clock that no program sets.</summary>
    private FlowHeader MakeHeader(int map)
    {
        var (now, steady) = (_context.Time.GetUtcNow(), FlowClock.SteadyNow(_context.Time));
        var (ticks, rate) = (_loaded.Jiffies!.Read(), _loaded.Jiffies.ReadRate());
        var length = steady - _steadyAt;
        return new(_book.Interval + 1, map, now - length, new(now, ticks, rate), new(steady, ticks, rate), _shaper.Digest, _shaper.FindBudget(length, _export.Ring?.Pressure ?? 0));
    }

    private void Add(ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows, in RowsRead read)
    {
        var owners = _context.Pods.Current;
        for (var i = 0; i < rows.Length; i++)
        {
            var (key, value) = rows[i];
            if (!owners.TryGetValue(key.Ifindex, out var owner))
            {
                // The map's own row has the packets of interfaces that had no room for a row.
                _metrics.CountUnowned(FlowRest.PacketsOf(key, value));
            }
            else if (!key.IsFlow)
            {
                AddRest(key, FlowRest.Of(value), owner, read);
            }
            else
            {
                AddFlow(i, key, value, owner, read);
            }
        }
    }

    private void AddRest(in FlowKey key, in FlowRest rest, PodInterface owner, in RowsRead read)
    {
        if (_options.HasRecords)
        {
            _interval.AddRest(owner, key.IsTransmit, rest);
        }
        if (!read.IsCommitted)
        {
            _edges?.AddRest(owner, key.IsTransmit, rest);
        }
    }

    private void AddFlow(int row, in FlowKey key, in FlowValue value, PodInterface owner, in RowsRead read)
    {
        // Another CPU made the flow, and has not counted its packet when the map was taken out.
        if (value.Transmit.Packets == 0 && value.Receive.Packets == 0)
        {
            return;
        }
        var sight = See(key, value, owner);
        if (read.IsPrevious)
        {
            // Laid out as in an earlier version: not all that a record needs is there.
            _edges?.Add(key, value, sight, owner, _steady.ReadAt);
            if (_options.HasRecords)
            {
                _interval.AddRest(new(key, owner, row, default, null), value, RestReason.PreviousLayout);
            }
            return;
        }
        var last = _steady.LastOf(value);
        if (!read.IsCommitted)
        {
            _edges?.Add(key, value, sight, owner, last);
        }
        if (!_options.HasRecords)
        {
            return;
        }
        var remote = _ends.FindRemote(key, last, out var isVip);
        if (isVip && sight.IsLocalSource && _options.MaxLookups > 0)
        {
            _backends.Want(key, owner, isNew: sight.Connections > 0);
        }
        _interval.Add(new(key, owner, row, sight, remote));
    }

    private FlowSight See(in FlowKey key, in FlowValue value, PodInterface owner)
    {
        if (value.Transmit.First == 0 && value.Receive.First == 0)
        {
            // Laid out as in an earlier version, without times.
            return default;
        }
        var seenAt = owner.SeenAtBySteadyClock(_interval.Clock.ReadAt, _steady.ReadAt);
        var countedSince = seenAt > _table.CountedSince ? seenAt : _table.CountedSince;
        return InWallTime(_table.See(key, value, owner.Generation, countedSince, _steady, _guess));
    }

    /// <summary>A flow that had no packet, of which there is something to say.</summary>
    /// <param name="generation">The low half of its interface's.</param>
    private void AddSilent(FlowKey key, uint generation, FlowSight sight)
    {
        if (_options.HasRecords && _context.Pods.Current.TryGetValue(key.Ifindex, out var owner) && (uint)owner.Generation == generation)
        {
            // No later than that: it had no packet in the interval, or in all that makes a flow idle.
            var last = _steady.ReadAt - (sight.EndReason == FlowEndReason.Idle ? FlowTable.IdleAfter : _interval.Context.End - _interval.Context.Start);
            _interval.Add(new(key, owner, Row: -1, InWallTime(sight), _ends.FindRemote(key, last, out _)));
        }
    }

    /// <summary>The table knows steady time alone: a clock that is set makes no flow idle, and none new.</summary>
    private FlowSight InWallTime(in FlowSight sight) => sight.Start is { } start ? sight with { Start = _interval.Clock.ReadAt - (_steady.ReadAt - start) } : sight;
}
