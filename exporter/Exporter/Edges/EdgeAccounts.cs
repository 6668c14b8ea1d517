using Exporter.Accounts;
using Exporter.Health;
using Exporter.State;

namespace Exporter.Edges;

/// <summary>
/// The accounts of edges, within a pool of sample lines of their own. An edge has series from its first count until nothing was counted for the retention.
/// Without room it is counted under __other__ of its owner, whose place for that comes with its first edge; an owner without a place is counted under
/// __other__ of its namespace, or of the node, which has a place always. So each row is in one series, or in the total of retired ones. <see cref="EdgeRoom"/>
/// decides whose edges have room. Used with the ledger's lock, but for the constructor.
/// </summary>
internal sealed partial class EdgeAccounts
{
    /// <summary>Edges without series that are known by themselves. More are counted as their owner's others.</summary>
    private const int MaxFolded = 16_384;

    /// <summary>A flow without a packet for this long is idle: its edge is in use until then.</summary>
    private static readonly TimeSpan IdleFlow = TimeSpan.FromSeconds(60);

    private readonly EdgeOptions _options;
    private readonly Ledger _ledger;
    private readonly EdgeMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<EdgeAccounts> _logger;
    private readonly EdgeSeries _series;
    private readonly EdgeRoom _room;
    private readonly TimeSpan _retention;
    private readonly int _maxEdges;

    private readonly Dictionary<EdgeKey, Edge> _edges = [];
    private readonly Dictionary<EdgeKey, EdgeOwner> _owners = [];
    private readonly Trouble _folding = new();

    /// <summary>How many edges are folded.</summary>
    private int _folded;

    /// <summary>Continues the records of a previous process. Those that are shown otherwise now, or have no room, are retired; where edges are off, all.</summary>
    /// <param name="retired">The total of counts in series that were removed, which knows <see cref="EdgeColumns.Totals"/>.</param>
    public EdgeAccounts(EdgeOptions options, MetricsOptions metrics, Ledger ledger, Totals retired, EdgeMetrics own, TimeProvider time, ILogger<EdgeAccounts> logger)
    {
        (_options, _ledger, _metrics, _time, _logger) = (options, ledger, own, time, logger);
        _retention = metrics.Retention > IdleFlow ? metrics.Retention : IdleFlow;
        _series = new(options.Level, ledger, retired);
        var lines = options.LinesOf(metrics.MaxSeries);
        _room = new(lines, _owners, _series, _retention, time);
        _maxEdges = MaxFolded + _room.MaxEdges;
        if (options.IsOn && lines < options.MaxSeries)
        {
            LogCut(options.MaxSeries, lines);
        }
        Restore();
    }

    /// <summary>Has the edges' series shown and settled with the pods'. Nothing where edges are off.</summary>
    internal void ShowIn(PodAccounts pods)
    {
        if (_options.IsOn)
        {
            pods.Include(_series, Settle);
        }
    }

    /// <summary>
    /// The handle of an edge. Allocates for edges that are not known yet only. Where too many are known, it is the handle of its owner's __other__, so the
    /// handle of a flow's edge is not for the next flow. Not called where edges are off.
    /// </summary>
    internal Edge Acquire(in EdgeKey key)
    {
        var known = _options.Level == EdgeLevel.Namespace ? key with { Workload = "", WorkloadKind = "" } : key;
        if (_edges.TryGetValue(known, out var edge))
        {
            return edge;
        }
        return _edges.Count >= _maxEdges && _owners.TryGetValue(known.Owner, out var owner) && !known.IsReserved && !_room.MayAdmit(owner)
            ? owner.Other
            : Learn(known.MakeSafe());
    }

    /// <summary>Adds a row of <see cref="EdgeRow"/> with the next commit. Allocates only where the edge gets series with it.</summary>
    internal void Add(Edge edge, ReadOnlySpan<ulong> row)
    {
        var current = edge.IsKnown ? edge : Acquire(edge.Key);
        current.UsedAt = _time.GetTimestamp();
        if (current.Account is not null || TryAdmit(current))
        {
            current.Account!.Entry!.Add(EdgeRow.Fields, row);
            return;
        }
        if (!current.IsReserved)
        {
            _folded += current.IsFolded ? 0 : 1;
            current.IsFolded = true;
            current.Weight += EdgeRow.BytesOf(row);
        }
        Add(FindTarget(current), row);
    }

    /// <summary>The same, by the edge's key.</summary>
    internal void Add(in EdgeKey key, ReadOnlySpan<ulong> row) => Add(Acquire(key), row);

    /// <summary>Removes edges that nothing has used for the retention, and gives their lines to folded ones. Allocates only when something changes.</summary>
    internal void Settle()
    {
        Expire();
        while (_folded > 0 && _room.IsFreeForEdge && FindNext() is { } next && TryAdmit(next))
        {
        }
        _room.EndRound();
        _metrics.Edges.Set(_series.Count);
        _metrics.Folded.Set(_folded);
        if (_folded > 0 && _folding.Begins())
        {
            LogFolding(_folded);
        }
        else if (_folded == 0 && _folding.Ends())
        {
            LogUnfolded();
        }
    }

    private void Restore()
    {
        lock (_ledger.Lock)
        {
            foreach (var entry in _ledger.FindRestored(RecordKind.Edge))
            {
                var (level, key) = EdgeKey.Read(entry.Key);
                if (!_options.IsOn || level != _options.Level || !TryAdmit(Learn(key)))
                {
                    _series.Retire(entry);
                }
            }
            _ledger.Commit();
        }
    }

    /// <param name="key">Its values can be shown.</param>
    private Edge Learn(in EdgeKey key)
    {
        if (!_edges.TryGetValue(key, out var edge))
        {
            var owner = FindOwner(key.Owner);
            if (key.IsReserved)
            {
                return _edges[key];
            }
            owner.Users++;
            _edges[key] = edge = new(key, owner) { UsedAt = _time.GetTimestamp() };
        }
        return edge;
    }

    private EdgeOwner FindOwner(in EdgeKey key)
    {
        if (!_owners.TryGetValue(key, out var owner))
        {
            _owners[key] = owner = new(key, FallbackOf(key) is { } fallback ? FindOwner(fallback) : null);
            foreach (var edge in (ReadOnlySpan<Edge>)[owner.Other, owner.Unrecorded])
            {
                edge.UsedAt = _time.GetTimestamp();
                _edges[edge.Key] = edge;
            }
        }
        return owner;
    }

    /// <summary>The owner that counts for this one without a place; null: it is the node's, which has one.</summary>
    private EdgeKey? FallbackOf(in EdgeKey owner) =>
        owner.Namespace == EdgeKey.Other ? null
        : _options.Level == EdgeLevel.Namespace ? owner with { Namespace = EdgeKey.Other }
        : owner.Workload == EdgeKey.Other ? owner with { Namespace = EdgeKey.Other }
        : owner with { Workload = EdgeKey.Other, WorkloadKind = EdgeKey.Other };

    /// <summary>The edge that counts for one without series.</summary>
    private static Edge FindTarget(Edge edge) =>
        !edge.IsReserved ? edge.Owner.Other
        : edge.Key.IsUnrecorded ? edge.Owner.Fallback!.Unrecorded
        : edge.Owner.Fallback!.Other;

    /// <summary>Gives the edge series, if it may have some.</summary>
    private bool TryAdmit(Edge edge)
    {
        if (!_room.TryAdmit(edge))
        {
            return false;
        }
        StopFolding(edge);
        return true;
    }

    /// <summary>The folded edge that gets room next: of the owner with the fewest edges, and among its edges the one with the most bytes.</summary>
    private Edge? FindNext()
    {
        Edge? next = null;
        foreach (var edge in _edges.Values)
        {
            if (edge.IsFolded
                && _room.IsFreeFor(edge)
                && (next is null || (edge.Owner.Shown.Count, next.Weight).CompareTo((next.Owner.Shown.Count, edge.Weight)) < 0))
            {
                next = edge;
            }
        }
        return next;
    }

    private void Expire()
    {
        var now = _time.GetTimestamp();
        // Removing does not disturb the enumeration of a Dictionary.
        foreach (var edge in _edges.Values)
        {
            if (!edge.IsReserved && IsUnused(edge, now))
            {
                _room.Retire(edge);
                StopFolding(edge);
                edge.Owner.Users--;
                Forget(edge);
            }
        }
        foreach (var owner in _owners.Values)
        {
            if (owner is { Shown.Count: 0, Fallback: { } fallback } && IsUnused(owner.Other, now) && IsUnused(owner.Unrecorded, now))
            {
                _room.Displace(owner);
                if (owner.Users == 0)
                {
                    fallback.Users--;
                    Forget(owner.Other);
                    Forget(owner.Unrecorded);
                    _owners.Remove(owner.Key);
                }
            }
        }
    }

    private bool IsUnused(Edge edge, long now) => _time.GetElapsedTime(edge.UsedAt, now) >= _retention;

    private void StopFolding(Edge edge)
    {
        _folded -= edge.IsFolded ? 1 : 0;
        (edge.IsFolded, edge.Weight) = (false, 0);
    }

    private void Forget(Edge edge)
    {
        edge.IsKnown = false;
        _edges.Remove(edge.Key);
    }

    [LoggerMessage(470, LogLevel.Warning, "Edges have {Lines} sample lines instead of the {Wanted} of Edges:MaxSeries, half of Metrics:MaxSeries; raise Metrics:MaxSeries, or lower Edges:MaxSeries")]
    private partial void LogCut(int wanted, int lines);

    [LoggerMessage(471, LogLevel.Warning, "The series of edges are used up: {Folded} edges are counted under peer __other__, no data is lost; raise Edges:MaxSeries, or set Edges:Level to namespace")]
    private partial void LogFolding(int folded);

    [LoggerMessage(472, LogLevel.Information, "The series of edges have room for all again")]
    private partial void LogUnfolded();
}
