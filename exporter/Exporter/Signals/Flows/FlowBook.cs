using System.Security.Cryptography;
using Exporter.Bpf;
using Exporter.Export;
using Exporter.State;

namespace Exporter.Signals.Flows;

using LossReason = Exporter.Export.LossReason;

/// <summary>
/// What the ledger keeps of flows: the epoch, the header of the last interval, and the counts of each sink. The header is in force before the interval's first
/// record leaves, so that a process that finds it writes the same records again. Everything is used with the ledger's lock.
/// </summary>
internal sealed class FlowBook
{
    private const ulong NodeRecord = 1;

    /// <summary>In the place of a map's id: no map has it.</summary>
    private const ulong Released = uint.MaxValue;

    /// <summary>Numbers of sinks' records have this bit.</summary>
    private const ulong SinkBit = 1ul << 63;

    private readonly Ledger _ledger;
    private readonly LedgerEntry _node;
    private readonly Dictionary<string, Sink> _sinks = [];

    /// <summary>The interval that the previous process may not have written to its end.</summary>
    private FlowHeader? _repeatable;

    /// <summary>Whether the map of the last interval may be emptied already.</summary>
    private bool _isReleased;

    internal FlowBook(Ledger ledger, IReadOnlyList<string> sinks)
    {
        _ledger = ledger;
        lock (ledger.Lock)
        {
            _node = Open(NodeRecord);
            Span<ulong> row = stackalloc ulong[Fields.Count];
            _node.ReadTotal(Fields, row);
            if (row[Index.EpochHigh] == 0 && row[Index.EpochLow] == 0)
            {
                row.Clear();
                (row[Index.EpochHigh], row[Index.EpochLow]) = (RandomNumber(), RandomNumber());
                (row[Index.SaltHigh], row[Index.SaltLow]) = (RandomNumber(), RandomNumber());
                _node.Add(Fields, row);
            }
            (Epoch, Salt) = (new(row[Index.EpochHigh], row[Index.EpochLow]), new(row[Index.SaltHigh], row[Index.SaltLow]));
            Interval = row[Index.Interval];
            FlowHeader? last = Interval == 0 ? null : FlowHeader.Read(row);
            SteadyAt = last?.Steady.ReadAt;
            _isReleased = row[Index.Map] == Released;
            foreach (var sink in sinks)
            {
                _sinks[sink] = Begin(sink);
            }
            _repeatable = _isReleased || _sinks.Values.All(sink => sink.Settled >= Interval) ? null : last;
            ledger.Commit();
        }
    }

    internal static RowFields Fields { get; } = new("flows", Index.Names, Index.Kinds);

    internal Ledger Ledger => _ledger;

    internal UInt128 Epoch { get; }

    /// <summary>Ids of records are made with it where addresses are hidden.</summary>
    internal UInt128 Salt { get; }

    /// <summary>When the last interval was read, as <see cref="FlowHeader.Steady"/> has it; null: there was none.</summary>
    internal DateTimeOffset? SteadyAt { get; private set; }

    /// <summary>The number of the last interval; 0: there was none.</summary>
    internal ulong Interval { get; private set; }

    /// <summary>The counts that a sink continues with: all that the previous process had under way is lost with it, or is written again.</summary>
    internal SinkCounts StartOf(string sink) => _sinks[sink].Saved;

    /// <summary>The records of the last interval that were under way at an orderly end. They are not counted as issued until they are issued again.</summary>
    internal long ReturnedOf(string sink) => _sinks[sink].Returned;

    /// <summary>Whether the previous process has settled all records of an interval with a sink.</summary>
    internal bool Has(string sink, ulong interval) => _sinks[sink].Settled >= interval;

    /// <summary>The next commit has the header of another interval.</summary>
    /// <returns>Whether one of a previous process is given up that some sink may not have: its header is gone.</returns>
    internal bool Begin(in FlowHeader header)
    {
        (Interval, SteadyAt, _isReleased) = (header.Interval, header.Steady.ReadAt, false);
        var givesUp = _repeatable is not null;
        _repeatable = null;
        Span<ulong> row = stackalloc ulong[Fields.Count];
        row.Clear();
        header.Write(row);
        _node.Add(Fields, row);
        return givesUp;
    }

    /// <summary>The next commit has that the last interval cannot be written again: its map is about to be emptied.</summary>
    internal void Close()
    {
        if (Interval == 0 || _repeatable is not null)
        {
            return;
        }
        Span<ulong> row = stackalloc ulong[Fields.Count];
        row.Clear();
        row[Index.Map] = Released;
        _node.Add(Fields, row);
        _isReleased = true;
    }

    /// <summary>The header with which a map that is committed already is read again; null: each sink has its interval, or the options that shape records are others.</summary>
    /// <param name="isChanged">Whether it is the options: the records of the interval cannot be made again.</param>
    internal FlowHeader? FindRepeat(int map, ulong digest, out bool isChanged)
    {
        isChanged = false;
        if (_repeatable is not { } header || header.Map != map)
        {
            return null;
        }
        _repeatable = null;
        isChanged = header.Digest != digest;
        return isChanged ? null : header;
    }

    /// <summary>The next commit has the counts of a sink.</summary>
    internal void Save(ExportReader reader)
    {
        // In this order: what is settled is in the counts.
        var (sink, settled, counts) = (_sinks[reader.Sink], reader.SettledInterval, reader.Counts);
        if (counts == sink.Saved && settled <= sink.Settled)
        {
            return;
        }
        Span<ulong> row = stackalloc ulong[Fields.Count];
        row.Clear();
        row[Index.Issued] = (ulong)(counts.Issued - sink.Saved.Issued);
        row[Index.Acknowledged] = (ulong)(counts.Acknowledged - sink.Saved.Acknowledged);
        foreach (var reason in SinkCounts.Reasons)
        {
            row[Index.Lost + (int)reason] = (ulong)(counts.LostBy(reason) - sink.Saved.LostBy(reason));
        }
        row[Index.Settled] = settled;
        sink.Entry.Add(Fields, row);
        (sink.Saved, sink.Settled) = (counts, Math.Max(sink.Settled, settled));
    }

    /// <summary>
    /// The next commit has that all records of a sink that are under way are of the last interval, as they are at an orderly end. While its map is kept they are not lost: the next
    /// process writes them again.
    /// </summary>
    internal void Keep(ExportReader reader)
    {
        if (_isReleased || Interval == 0 || reader.Counts.UnderWay == 0)
        {
            return;
        }
        Span<ulong> row = stackalloc ulong[Fields.Count];
        row.Clear();
        row[Index.Kept] = Interval;
        _sinks[reader.Sink].Entry.Add(Fields, row);
    }

    private Sink Begin(string name)
    {
        var entry = Open(SinkBit | Fnv1a.Of(name));
        Span<ulong> row = stackalloc ulong[Fields.Count];
        entry.ReadTotal(Fields, row);
        var counts = new SinkCounts((long)row[Index.Issued], (long)row[Index.Acknowledged]);
        foreach (var reason in SinkCounts.Reasons)
        {
            counts = counts.WithLost(reason, (long)row[Index.Lost + (int)reason]);
        }
        var (settled, kept, returned) = (row[Index.Settled], row[Index.Kept], 0L);
        if (entry.Commit == 0 && Interval > 0)
        {
            // It is new, and was to have none of the intervals before.
            row.Clear();
            row[Index.Settled] = settled = Interval;
            entry.Add(Fields, row);
        }
        if (counts.UnderWay > 0)
        {
            row.Clear();
            if (kept == Interval && settled < Interval && !_isReleased)
            {
                returned = counts.UnderWay;
                row[Index.Issued] = unchecked((ulong)-returned);
                counts = counts with { Issued = counts.Issued - returned };
            }
            else
            {
                row[Index.Lost + (int)LossReason.Crash] = (ulong)counts.UnderWay;
                counts = counts.WithLost(LossReason.Crash, counts.UnderWay);
            }
            entry.Add(Fields, row);
        }
        return new(entry) { Saved = counts, Settled = settled, Returned = returned };
    }

    private LedgerEntry Open(ulong number) => _ledger.Open(RecordKind.OfSignal, RecordKey.Of(Fields.Name, number), null);

    private static ulong RandomNumber() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));

    /// <summary>Where each field is in a row.</summary>
    internal static class Index
    {
        internal const int EpochHigh = 0, EpochLow = 1, SaltHigh = 2, SaltLow = 3, Interval = 4;
        internal const int Map = 5, Start = 6, ReadAt = 7, Ticks = 8, Rate = 9, Digest = 10, Budget = 11, SteadyAt = 12;
        internal const int Issued = 13, Acknowledged = 14, Lost = 15;
        internal static readonly int Settled = Lost + SinkCounts.Reasons.Count;

        /// <summary>In a sink's record: the interval that has all that is under way, after an orderly end. The node's record has its last interval there.</summary>
        internal const int Kept = Interval;

        internal static readonly IReadOnlyList<string> Names =
        [
            "epoch.high", "epoch.low", "salt.high", "salt.low", "interval",
            "header.map", "header.start", "header.read", "header.ticks", "header.rate", "header.digest", "header.budget", "header.steady",
            "issued", "acknowledged", .. SinkCounts.Reasons.Select(reason => $"lost.{reason.ToString().ToLowerInvariant()}"), "settled",
        ];

        internal static readonly IReadOnlyDictionary<string, FieldKind> Kinds = Names.Where(name => !name.StartsWith("lost", StringComparison.Ordinal) && name is not ("issued" or "acknowledged"))
            .ToDictionary(name => name, name => name is "interval" or "settled" ? FieldKind.Maximum : FieldKind.Last);
    }

    private sealed class Sink(LedgerEntry entry)
    {
        internal LedgerEntry Entry => entry;

        /// <summary>As the ledger has them.</summary>
        internal SinkCounts Saved { get; set; }

        /// <summary>The last interval of which nothing is under way.</summary>
        internal ulong Settled { get; set; }

        internal long Returned { get; init; }
    }
}
