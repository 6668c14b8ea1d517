using Exporter.Accounts;

namespace Exporter.Edges;

/// <summary>
/// A handle of an edge that callers may keep: <see cref="EdgeAccounts.Add(Edge, ReadOnlySpan{ulong})"/> finds where its counts go, also after its series
/// were removed. Used with the ledger's lock.
/// </summary>
internal sealed class Edge(EdgeKey key, EdgeOwner owner)
{
    internal EdgeKey Key => key;

    internal EdgeOwner Owner => owner;

    /// <summary>As <see cref="EdgeKey.IsReserved"/>.</summary>
    internal bool IsReserved { get; } = key.IsReserved;

    /// <summary>Whether it is among the edges that are known; else another may have its key by now.</summary>
    internal bool IsKnown { get; set; } = true;

    /// <summary>Has its counts; null: it has no series.</summary>
    internal Account? Account { get; set; }

    /// <summary>When it last counted something, or its series were taken from it.</summary>
    internal long UsedAt { get; set; }

    /// <summary>Greater than the number of each edge that got its series before.</summary>
    internal long Number { get; set; }

    /// <summary>Whether another edge counts for it, since there is no room.</summary>
    internal bool IsFolded { get; set; }

    /// <summary>Its bytes since it is folded.</summary>
    internal ulong Weight { get; set; }

    /// <summary>When its series were taken from it, and in which round; null: they never were.</summary>
    internal (long At, long Round)? Removed { get; set; }
}
