using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Bpf.Contract;

namespace Exporter.State;

/// <summary>What a record counts.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LedgerCounts
{
    internal TrafficValue Traffic;
    internal HandshakeValue Handshakes;

    /// <summary>
    /// The counters by names that stay the same from one version to the next; and the number of the format of records' keys (RecordKeys.cs),
    /// which is one more whenever that changes.
    /// </summary>
    internal static MapLayout Layout { get; } = new("keys=1", [.. TrafficValue.Counters, .. HandshakeValue.Counters]);

    /// <summary>The settings of the first ledgers: keys had no number yet, and the head had room for fewer maps.</summary>
    internal const string FirstSettings = "";

    /// <summary>From counters that may be laid out otherwise.</summary>
    /// <param name="sources">As <see cref="MapLayout.Find"/> has it.</param>
    internal static LedgerCounts Read(ReadOnlySpan<ulong> words, int[]? sources)
    {
        LedgerCounts counts = default;
        var counters = MemoryMarshal.Cast<LedgerCounts, ulong>(MemoryMarshal.CreateSpan(ref counts, 1));
        for (var i = 0; i < counters.Length; i++)
        {
            var source = sources is null ? i : sources[i];
            counters[i] = source < 0 ? 0 : words[source];
        }
        return counts;
    }

    internal readonly bool IsSame(in LedgerCounts other) => Words(this).SequenceEqual(Words(other));

    internal void Add(in LedgerCounts other)
    {
        Traffic.Add(other.Traffic);
        Handshakes.Add(other.Handshakes);
    }

    private static ReadOnlySpan<ulong> Words(in LedgerCounts counts) =>
        MemoryMarshal.Cast<LedgerCounts, ulong>(MemoryMarshal.CreateReadOnlySpan(in counts, 1));
}

/// <summary>One of the two copies of a record's counts.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RecordCopy
{
    /// <summary>The number of the commit that it came with; 0: none.</summary>
    internal ulong Commit;

    /// <summary>Whether the record is in use.</summary>
    internal ulong IsUsed;

    internal LedgerCounts Counts;
}

/// <summary>What a record begins with; its two copies and its key follow.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RecordHead
{
    internal ulong Kind;
    internal ulong KeyLength;
}

/// <summary>The first page of a ledger.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LedgerHead
{
    /// <summary>The number of the commit that is in force: this one store is what a commit is.</summary>
    internal ulong Commit;

    internal KeptCopy One;
    internal KeptCopy Other;
}

/// <summary>One of the two copies of which maps' contents are in the ledger.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KeptCopy
{
    internal ulong Commit;
    internal KeptMaps Maps;
}

/// <summary>
/// Two for each layout that there are maps of: as many as fit. Those of former ones stay until they are read to the end, which a process that is
/// killed at once does not come to.
/// </summary>
[InlineArray(Length)]
internal struct KeptMaps
{
    internal const int Length = 240;

    /// <summary>As many as the first ledgers had.</summary>
    internal const int FirstLength = 16;

    private KeptMap _first;
}
