namespace Exporter.Edges;

/// <summary>
/// The pods at one end of edges: a workload or a namespace; or all workloads of a namespace, or of the node, that have no place. With a place an owner has
/// room for its edges to __other__ and __unrecorded__. Used with the ledger's lock.
/// </summary>
internal sealed class EdgeOwner
{
    /// <param name="key">Without a peer.</param>
    /// <param name="fallback">Counts for it while it has no place; null: it always has one.</param>
    internal EdgeOwner(EdgeKey key, EdgeOwner? fallback)
    {
        (Key, Fallback, HasPlace) = (key, fallback, fallback is null);
        (Other, Unrecorded) = (new(key.ToOther, this), new(key.ToUnrecorded, this));
        if (fallback is not null)
        {
            fallback.Users++;
        }
    }

    internal EdgeKey Key { get; }

    internal EdgeOwner? Fallback { get; }

    /// <summary>Whether it stands for workloads without a place. It takes free lines only.</summary>
    internal bool IsFold => Key.Namespace == EdgeKey.Other || Key.Workload == EdgeKey.Other;

    internal bool HasPlace { get; set; }

    internal Edge Other { get; }

    internal Edge Unrecorded { get; }

    /// <summary>Its edges that have series, without the two above.</summary>
    internal List<Edge> Shown { get; } = [];

    /// <summary>Edges that are known, and owners that it counts for.</summary>
    internal int Users { get; set; }

    /// <summary>The edge to take series from: unused for longest; among edges that are used alike the last that got its series.</summary>
    internal Edge FindLeastUsed()
    {
        var least = Shown[0];
        foreach (var edge in Shown)
        {
            if (edge.UsedAt < least.UsedAt || (edge.UsedAt == least.UsedAt && edge.Number > least.Number))
            {
                least = edge;
            }
        }
        return least;
    }
}
