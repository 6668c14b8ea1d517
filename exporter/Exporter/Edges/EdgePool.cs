namespace Exporter.Edges;

/// <summary>The sample lines of edges, and how owners share them. All answers take constant time. Used with the ledger's lock.</summary>
/// <param name="lines">All that there are.</param>
/// <param name="edgeLines">The lines of an edge.</param>
internal sealed class EdgePool(int lines, int edgeLines)
{
    /// <summary>How many owners have so many edges, by that number.</summary>
    private readonly int[] _ownersBy = new int[(lines / edgeLines) + 2];

    internal int Free { get; private set; } = lines;

    /// <summary>The edges of the owner that has the most.</summary>
    internal int Most { get; private set; }

    /// <summary>The edges that owners have beside their first.</summary>
    private int _spare;

    /// <summary>Whether so many lines are free, or are once owners have given up all edges but their first.</summary>
    internal bool CanFree(int needed) => Free + ((long)_spare * edgeLines) >= needed;

    /// <summary>The caller knows that they are free.</summary>
    internal void Take(int taken) => Free -= taken;

    internal void Return(int returned) => Free += returned;

    /// <summary>An owner has one edge more, or one less.</summary>
    internal void Move(int before, int after)
    {
        _ownersBy[before]--;
        _ownersBy[after]++;
        _spare += Math.Max(0, after - 1) - Math.Max(0, before - 1);
        Most = Math.Max(Most, after);
        while (Most > 0 && _ownersBy[Most] == 0)
        {
            Most--;
        }
    }
}
