using System.Runtime.InteropServices;
using Exporter.Bpf;

namespace Exporter.State;

/// <summary>
/// A ledger of the first two formats: each record is a page, with two copies of all counters of all signals, and its key behind them. It is read
/// once, and taken over.
/// </summary>
internal sealed class EarlierLedger : IDisposable
{
    /// <summary>The first format's settings: keys had no number yet, and the head had room for fewer maps.</summary>
    private const string FirstSettings = "";

    private const string SecondSettings = "keys=1";
    private const int FirstMaps = 16;
    private const int RecordsPerSegment = 128;
    private const int HeadBytes = 16;

    /// <summary>Twice as much as was added after a restart, so that it was not smaller than before.</summary>
    private const ulong RoundingDivisor = 500_000_000_000;

    private readonly MapLayout _layout;
    private readonly List<LedgerSegment> _segments = [];

    private EarlierLedger(MapLayout layout) => _layout = layout;

    private bool IsFirst => _layout.Settings == FirstSettings;

    private ReadOnlySpan<ulong> Head => MemoryMarshal.Cast<byte, ulong>(RecordAt(0, 0));

    internal static bool IsOne(MapLayout layout) => layout.Settings is FirstSettings or SecondSettings;

    /// <summary>Null where there is no such ledger.</summary>
    internal static EarlierLedger? Open(ILedgerMemory memory, MapLayout layout)
    {
        var ledger = new EarlierLedger(layout);
        while (memory.Open(layout, ledger._segments.Count, RecordsPerSegment) is { } segment)
        {
            ledger._segments.Add(segment);
        }
        return ledger._segments.Count > 0 ? ledger : null;
    }

    /// <summary>The committed records; counters in the order of the layout.</summary>
    internal IReadOnlyList<(RecordKind Kind, byte[] Key, ulong[] Row)> ReadRecords()
    {
        var records = new List<(RecordKind Kind, byte[] Key, ulong[] Row)>();
        for (var segment = 0; segment < _segments.Count; segment++)
        {
            // The first record is the head.
            for (var record = segment == 0 ? 1 : 0; record < RecordsPerSegment; record++)
            {
                if (Read(RecordAt(segment, record)) is { } read)
                {
                    records.Add(read);
                }
            }
        }
        return records;
    }

    /// <summary>The maps whose content is in the ledger.</summary>
    internal CommittedMap[] ReadKept()
    {
        var (length, commit) = (IsFirst ? FirstMaps : CommittedMapList.Length, Head[0]);
        var copies = Head[1..];
        var inForce = Age(copies[0], commit) >= Age(copies[1 + length], commit) ? 0 : 1 + length;
        return [.. MemoryMarshal.Cast<ulong, CommittedMap>(copies.Slice(inForce + 1, length)).ToArray().Where(map => map.Pair != 0)];
    }

    public void Dispose() => _segments.ForEach(segment => segment.Dispose());

    private static ulong Age(ulong copy, ulong commit) => copy <= commit ? copy : 0;

    private ReadOnlySpan<byte> RecordAt(int segment, int record) => _segments[segment].Bytes.Slice(record * MappedArray.ElementBytes, MappedArray.ElementBytes);

    private (RecordKind Kind, byte[] Key, ulong[] Row)? Read(ReadOnlySpan<byte> record)
    {
        var (commit, copyWords) = (Head[0], 2 + _layout.Counters.Count);
        var words = MemoryMarshal.Cast<byte, ulong>(record);
        var one = words.Slice(HeadBytes / sizeof(ulong), copyWords);
        var other = words.Slice((HeadBytes / sizeof(ulong)) + copyWords, copyWords);
        var inForce = Age(one[0], commit) >= Age(other[0], commit) ? one : other;
        if (Age(inForce[0], commit) == 0 || inForce[1] == 0)
        {
            return null;
        }
        var kind = (RecordKind)words[0];
        var room = record[(HeadBytes + (2 * copyWords * sizeof(ulong)))..];
        var key = room[..(int)Math.Min(words[1], (ulong)room.Length)].ToArray();
        var row = inForce[2..].ToArray();
        if (kind == RecordKind.Group)
        {
            RoundUp(row, "client");
            RoundUp(row, "server");
        }
        var (translated, translatedKey) = IsFirst ? EarlierKeys.TranslateFirst(kind, key) : EarlierKeys.Translate(kind, key);
        return (translated, translatedKey, row);
    }

    /// <summary>
    /// Versions with this format have shown a sum of seconds that was made of rounded additions, and may have been larger than the exact one. It must
    /// not seem to go back: so the sum of the range that was never used gets the difference.
    /// </summary>
    private void RoundUp(ulong[] row, string role)
    {
        var sum = 0ul;
        for (var i = 0; i < row.Length; i++)
        {
            var name = _layout.Counters[i];
            sum += name.StartsWith(role, StringComparison.Ordinal) && name.EndsWith(".ns", StringComparison.Ordinal) ? row[i] : 0;
        }
        if (sum > 0)
        {
            row[_layout.Counters.ToList().IndexOf($"{role}.31.ns")] += 1 + (sum / RoundingDivisor);
        }
    }
}
