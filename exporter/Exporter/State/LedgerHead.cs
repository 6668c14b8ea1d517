using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Exporter.State;

/// <summary>The first page of a ledger: the last commit, and in two copies which maps' contents are in the ledger.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LedgerHead
{
    /// <summary>The number of the commit that is in force: this one store is what a commit is.</summary>
    internal ulong Commit;

    private Copy _one;
    private Copy _other;

    /// <summary>Some of them are empty. Valid until the next commit but one.</summary>
    [UnscopedRef]
    internal readonly ReadOnlySpan<CommittedMap> Read(ulong lastCommit)
    {
        ref readonly var inForce = ref IsOneInForce(lastCommit) ? ref _one : ref _other;
        return inForce.Maps;
    }

    /// <summary>Has the next commit record that the content of this map is in the ledger too, in place of the other map of its pair.</summary>
    internal void Add(CommittedMap map, ulong lastCommit)
    {
        ref var next = ref Prepare(lastCommit);
        Span<CommittedMap> maps = next.Maps;
        var index = maps.Length - 1;
        while (index > 0 && maps[index].Pair != map.Pair)
        {
            index--;
        }
        if (maps[index].Pair != map.Pair)
        {
            index = maps.IndexOf(default(CommittedMap));
        }
        maps[index] = map;
    }

    /// <summary>Has the next commit record that the contents of these maps, and of no others, are in the ledger.</summary>
    internal void Write(ReadOnlySpan<CommittedMap> maps, ulong lastCommit)
    {
        ref var next = ref Prepare(lastCommit);
        next.Maps = default;
        maps.CopyTo(next.Maps);
    }

    /// <summary>The copy of a commit that a killed process did not finish: the next commit has the same number, and is another.</summary>
    internal void ForgetUnfinished()
    {
        _one.Commit = Age(_one.Commit, Commit);
        _other.Commit = Age(_other.Commit, Commit);
    }

    private static ulong Age(ulong commit, ulong lastCommit) => commit <= lastCommit ? commit : 0;

    private readonly bool IsOneInForce(ulong lastCommit) => Age(_one.Commit, lastCommit) >= Age(_other.Commit, lastCommit);

    /// <summary>The copy that the next commit puts in force.</summary>
    [UnscopedRef]
    private ref Copy Prepare(ulong lastCommit)
    {
        var isOneInForce = IsOneInForce(lastCommit);
        ref var current = ref isOneInForce ? ref _one : ref _other;
        ref var next = ref isOneInForce ? ref _other : ref _one;
        if (next.Commit != lastCommit + 1)
        {
            (next.Maps, next.Commit) = (current.Maps, lastCommit + 1);
        }
        return ref next;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Copy
    {
        internal ulong Commit;
        internal CommittedMapList Maps;
    }
}

/// <summary>
/// Two for each layout that there are maps of: as many as fit. Maps of previous layouts stay until they are read to the end, which a process that
/// is killed at once does not come to.
/// </summary>
[InlineArray(Length)]
internal struct CommittedMapList
{
    internal const int Length = 240;

    private CommittedMap _first;
}
