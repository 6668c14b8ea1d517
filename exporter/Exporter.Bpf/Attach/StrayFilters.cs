using System.Globalization;
using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Attach;

/// <summary>
/// Filters of exporters that do not run any more: they count into maps that no process reads, or a second time. A filter of an exporter that
/// runs, of another pin directory or of another program is never touched.
/// </summary>
public static class StrayFilters
{
    /// <summary>The end of the names of folders of pins whose names are the ids of the programs in filters.</summary>
    internal const string ProgramsPart = "filters";

    /// <summary>Removes them from all interfaces of this network namespace.</summary>
    /// <param name="pins">The directory that this process has the lock of; null: it has none.</param>
    /// <param name="programs">Only filters of programs with these names, and any that no process has pinned; null: of all.</param>
    /// <param name="unmarkedToo">Also filters of earlier versions, whose names do not say whose they are.</param>
    /// <param name="current">The ids of the programs whose filters stay.</param>
    /// <returns>How many were removed.</returns>
    public static int Remove(TcClient client, PinDirectory? pins, ProgramPair? programs, bool unmarkedToo, params IReadOnlyCollection<int> current) =>
        Remove(client, pins?.Owner, programs, programs is null ? ReadPinned(pins) : ReadPinned(pins, programs.ProgramsPart), unmarkedToo, current);

    /// <summary>As the other, where the pin directory of this path is gone, and with it what says which programs it had.</summary>
    public static int RemoveOf(TcClient client, string? path, bool unmarkedToo) => Remove(client, path, null, [], unmarkedToo, []);

    private static int Remove(TcClient client, string? path, ProgramPair? programs, HashSet<int> pinned, bool unmarkedToo, IReadOnlyCollection<int> current)
    {
        var owner = FilterName.OwnerOf(path);
        var removed = 0;
        foreach (var (ifindex, qdisc) in client.GetIngressQdiscs())
        {
            foreach (var direction in qdisc.Directions())
            {
                removed += client.GetFilters(ifindex, direction).Count(filter => IsStray(filter) && client.DeleteFilter(ifindex, direction, filter) == 0);
            }
        }
        return removed;

        bool IsStray(TcFilter filter) =>
            FilterName.TryParse(filter.Name) is { } name
            && (programs?.HasName(name.Program) != false || name.Owner == FilterName.Unpinned)
            && !current.Contains(filter.ProgramId)
            && (pinned.Contains(filter.ProgramId) || IsOfOwner(name))
            && !FilterClaim.IsBound(name.Claim);

        bool IsOfOwner(FilterName name) => name.Owner switch
        {
            null => unmarkedToo,
            FilterName.Unpinned => true,
            var other => other == owner,
        };
    }

    /// <summary>How many programs are pinned that filters run. 0: the directory has no filters.</summary>
    public static int CountPinnedPrograms(PinDirectory pins) => ReadPinned(pins).Count;

    private static HashSet<int> ReadPinned(PinDirectory? pins) =>
        [.. (pins?.List() ?? []).Where(part => part.EndsWith(ProgramsPart, StringComparison.Ordinal)).SelectMany(part => ReadPinned(pins, part))];

    /// <summary>The ids of the programs in a folder, which filters run. An id does not come back while its program is pinned.</summary>
    internal static HashSet<int> ReadPinned(PinDirectory? pins, string part) =>
        [.. (pins?.List(part) ?? []).Select(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0).Where(id => id > 0)];
}
