namespace Exporter.Verification;

/// <summary>
/// The ids of an interval's records, each with a digest of time and counts. It takes about 80 bytes for each while records are added, and 24 once it
/// is sealed.
/// </summary>
internal sealed class RecordIds
{
    private readonly Dictionary<UInt128, ulong> _added = [];
    private UInt128[] _sealed = [];
    private ulong[] _digests = [];

    /// <summary>The distinct ids.</summary>
    internal int Count => _sealed.Length + _added.Count;

    internal IdOutcome Add(UInt128 id, ulong digest)
    {
        var index = Array.BinarySearch(_sealed, id);
        if (index >= 0)
        {
            return _digests[index] == digest ? IdOutcome.Repeat : IdOutcome.Different;
        }
        if (_added.TryAdd(id, digest))
        {
            return IdOutcome.First;
        }
        return _added[id] == digest ? IdOutcome.Repeat : IdOutcome.Different;
    }

    /// <summary>Sorts the ids into as little memory as they need. Further ones can be added.</summary>
    internal void Seal()
    {
        if (_added.Count == 0)
        {
            return;
        }
        UInt128[] ids = [.. _sealed, .. _added.Keys];
        ulong[] digests = [.. _digests, .. _added.Values];
        Array.Sort(ids, digests);
        (_sealed, _digests) = (ids, digests);
        _added.Clear();
        _added.TrimExcess();
    }

    /// <summary>Counts ids that are in more than one of these, which are sealed by it, by merging them.</summary>
    internal static long CountShared(IEnumerable<RecordIds> all)
    {
        var heads = new PriorityQueue<(UInt128[] Ids, int Index), UInt128>();
        foreach (var one in all)
        {
            one.Seal();
            if (one._sealed.Length > 0)
            {
                heads.Enqueue((one._sealed, 0), one._sealed[0]);
            }
        }
        var shared = 0L;
        UInt128? previous = null;
        while (heads.TryPeek(out var head, out var id))
        {
            shared += previous == id ? 1 : 0;
            previous = id;
            if (head.Index + 1 < head.Ids.Length)
            {
                heads.DequeueEnqueue((head.Ids, head.Index + 1), head.Ids[head.Index + 1]);
            }
            else
            {
                heads.Dequeue();
            }
        }
        return shared;
    }
}
