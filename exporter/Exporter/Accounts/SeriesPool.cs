using Exporter.State;

namespace Exporter.Accounts;

/// <summary>
/// The sample lines that are not set aside. A share is kept for the others of single namespaces, until a block of a pod waits: then it has the rest
/// of the share. Lines come back only where <see cref="PodAccounts.Settle"/> gives them to blocks that wait; so no other block can overtake these.
/// </summary>
internal sealed class SeriesPool(SeriesPlan plan)
{
    private int _free = plan.MaxSeries - plan.FixedLines;

    /// <summary>How many the others of namespaces have.</summary>
    private int _ofNamespaces;

    internal int MaxPods => plan.MaxPods;

    /// <summary>Returns false, and takes nothing, where there is not room for all of them.</summary>
    /// <param name="isWaiting">Whether they are for a block that has waited, or was there before a restart.</param>
    internal bool TryTake(GroupRoom room, int lines, bool isWaiting)
    {
        var share = plan.NamespaceLines - _ofNamespaces;
        var free = room switch
        {
            GroupRoom.Fixed => int.MaxValue,
            GroupRoom.Namespaces => Math.Min(share, _free),
            _ => isWaiting ? _free : _free - share,
        };
        if (free < lines)
        {
            return false;
        }
        Count(room, lines);
        return true;
    }

    internal void Return(GroupRoom room, int lines) => Count(room, -lines);

    private void Count(GroupRoom room, int lines)
    {
        _free -= room == GroupRoom.Fixed ? 0 : lines;
        _ofNamespaces += room == GroupRoom.Namespaces ? lines : 0;
    }
}
