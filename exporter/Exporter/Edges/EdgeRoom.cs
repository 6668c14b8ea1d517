namespace Exporter.Edges;

/// <summary>
/// Decides which edges have series, within the pool of sample lines. An owner needs a place for that, which are the lines of its edges to __other__ and
/// __unrecorded__. Owners share the pool max-min: where it is full, the owner with the most edges gives up its least used one for an owner that has at least two
/// less. Used with the ledger's lock.
/// </summary>
/// <param name="owners">All owners, by their keys; stay the caller's.</param>
/// <param name="retention">How long an edge waits after its series were taken from it.</param>
internal sealed class EdgeRoom(int lines, Dictionary<EdgeKey, EdgeOwner> owners, EdgeSeries series, TimeSpan retention, TimeProvider time)
{
    private readonly int _edgeLines = EdgeLinesOf(series);
    private readonly int _placeLines = PlaceLinesOf(series);

    /// <summary>The node's place is set aside.</summary>
    private readonly EdgePool _pool = new(Math.Max(0, lines - PlaceLinesOf(series)), EdgeLinesOf(series));

    private long _round;

    /// <summary>More edges than ever have series.</summary>
    internal int MaxEdges => lines / _edgeLines;

    /// <summary>Whether an edge of an owner with a place has room.</summary>
    internal bool IsFreeForEdge => _pool.Free >= _edgeLines;

    /// <summary>Edges whose series were taken from them in this round can get others in later ones.</summary>
    internal void EndRound() => _round++;

    /// <summary>Whether the edge has room without another giving up its own.</summary>
    internal bool IsFreeFor(Edge edge) => _pool.Free >= _edgeLines + (edge.Owner.HasPlace ? 0 : _placeLines) && !IsHeldOff(edge);

    /// <summary>Whether there is room for one more edge of the owner, or is once owners with more edges have given some up. Takes constant time.</summary>
    internal bool MayAdmit(EdgeOwner owner) => owner.HasPlace
        ? _pool.Free >= _edgeLines || _pool.Most >= owner.Shown.Count + 2
        : _pool.CanFree(_placeLines + _edgeLines);

    /// <summary>Gives the edge series, where there is room, or an owner with more edges gives one up.</summary>
    internal bool TryAdmit(Edge edge)
    {
        var owner = edge.Owner;
        if (edge.IsReserved)
        {
            if (!TryPlace(owner, 0))
            {
                return false;
            }
            series.Open(edge);
            return true;
        }
        if (IsHeldOff(edge) || !MayAdmit(owner) || !TryPlace(owner, _edgeLines))
        {
            return false;
        }
        if (_pool.Free < _edgeLines)
        {
            GiveUpOne();
        }
        _pool.Take(_edgeLines);
        series.Open(edge);
        owner.Shown.Add(edge);
        _pool.Move(owner.Shown.Count - 1, owner.Shown.Count);
        return true;
    }

    /// <summary>Removes the series of an edge that is not reserved, if it has any.</summary>
    internal void Retire(Edge edge)
    {
        if (edge.Account is null)
        {
            return;
        }
        series.Retire(edge);
        var shown = edge.Owner.Shown;
        shown.Remove(edge);
        _pool.Move(shown.Count + 1, shown.Count);
        _pool.Return(_edgeLines);
    }

    /// <summary>Takes the place from an owner without edges, if it has one.</summary>
    internal void Displace(EdgeOwner owner)
    {
        if (!owner.HasPlace)
        {
            return;
        }
        foreach (var edge in (ReadOnlySpan<Edge>)[owner.Other, owner.Unrecorded])
        {
            if (edge.Account is not null)
            {
                series.Retire(edge);
            }
        }
        owner.HasPlace = false;
        _pool.Return(_placeLines);
    }

    /// <summary>Series that were taken from an edge are missing from a scrape, before others begin at zero.</summary>
    private bool IsHeldOff(Edge edge) => edge.Removed is { } removed && (removed.Round == _round || time.GetElapsedTime(removed.At) < retention);

    /// <summary>Gives the owner a place, if it has none.</summary>
    /// <param name="more">Lines that have to be free then.</param>
    private bool TryPlace(EdgeOwner owner, int more)
    {
        if (owner.HasPlace)
        {
            return true;
        }
        var needed = _placeLines + more;
        if (owner.IsFold ? _pool.Free < needed : !_pool.CanFree(needed))
        {
            return false;
        }
        while (_pool.Free < needed)
        {
            GiveUpOne();
        }
        _pool.Take(_placeLines);
        return owner.HasPlace = true;
    }

    /// <summary>The owner with the most edges gives up one, which is folded once it counts again.</summary>
    private void GiveUpOne()
    {
        foreach (var owner in owners.Values)
        {
            if (owner.Shown.Count == _pool.Most)
            {
                var edge = owner.FindLeastUsed();
                Retire(edge);
                // Known for the retention from now on, so that its removal is.
                edge.UsedAt = time.GetTimestamp();
                edge.Removed = (edge.UsedAt, _round);
                return;
            }
        }
    }

    private static int EdgeLinesOf(EdgeSeries series) => Math.Max(1, series.LinesOf(isUnrecorded: false));

    private static int PlaceLinesOf(EdgeSeries series) => series.LinesOf(isUnrecorded: false) + series.LinesOf(isUnrecorded: true);
}
