namespace Exporter.Export.Elasticsearch;

/// <summary>
/// Records that were refused for a reason that may be theirs or the server's, as one that refuses all. They are rejected once another record is taken, which shows that
/// the server is well. A few are rejected without that, since a batch may have no other. Where there are more, none is rejected and the sink has to wait.
/// </summary>
internal sealed class BulkDoubts
{
    /// <summary>So many in a row are the server's fault.</summary>
    private const int Many = 5;

    private readonly List<(int Item, string Type, string Reason)> _records = [];

    /// <summary>Records that were rejected since one was taken.</summary>
    private int _rejected;

    /// <summary>Whether a record was taken in this attempt, and no other rejected because of that.</summary>
    private bool _isTaken;

    /// <summary>The problem of the first one, with its remedy.</summary>
    internal string Problem { get; private set; } = "";

    /// <summary>Begins an attempt to write a batch.</summary>
    /// <param name="isOther">Whether it is another batch than before.</param>
    internal void Begin(BulkItems items, bool isOther)
    {
        _isTaken = false;
        if (isOther)
        {
            _records.Clear();
        }
        Return(items);
    }

    /// <summary>A record was refused.</summary>
    internal void Add(BulkItems items, int item, string type, string reason, string problem)
    {
        Problem = _records.Count == 0 ? problem : Problem;
        _records.Add((item, type, reason));
        items.End(item, BulkItemState.Doubtful);
    }

    /// <summary>A record was taken.</summary>
    internal void NoteTaken() => (_isTaken, _rejected) = (true, 0);

    /// <summary>Rejects the records if it is their fault.</summary>
    /// <param name="isEnd">Whether the batch has no more records that could be taken.</param>
    /// <param name="note">Called with the type and the reason of each.</param>
    /// <returns>False: it is the server's fault, and they are to be sent again later.</returns>
    internal bool TrySettle(BulkItems items, bool isEnd, Action<string, string> note)
    {
        if (_records.Count == 0 || !(_isTaken || isEnd || _records.Count >= Many))
        {
            return true;
        }
        if (!_isTaken && (!isEnd || _rejected + _records.Count > Many))
        {
            Return(items);
            return false;
        }
        (_rejected, _isTaken) = (_isTaken ? 0 : _rejected + _records.Count, false);
        foreach (var (item, type, reason) in _records)
        {
            items.Reject(item);
            note(type, reason);
        }
        _records.Clear();
        return true;
    }

    private void Return(BulkItems items)
    {
        foreach (var (item, _, _) in _records)
        {
            items.Return(item);
        }
        _records.Clear();
    }
}
