using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Exporter.Verification;

/// <summary>The records of one interval of an observer, in whatever order and however often they come.</summary>
/// <param name="name">For messages: the interval and its observer.</param>
internal sealed class ObservedInterval(ulong number, string name)
{
    private readonly RecordIds _ids = new();
    private readonly SequenceNumbers _numbers = new();
    private UInt128 _closingId;
    private ulong? _timestamp;
    private bool _hasOtherTimes;

    internal ulong Number => number;

    internal string Name => name;

    internal RecordIds Ids => _ids;

    /// <summary>The flow and rest records that have come, each once.</summary>
    internal ulong Came => (ulong)_ids.Count;

    /// <summary>Whether its closing record has come.</summary>
    internal bool IsClosed { get; private set; }

    /// <summary>The flow and rest records that there are by the closing record.</summary>
    internal ulong Records { get; private set; }

    /// <summary>The least counts that a repeat of the closing record has: a later one may have newer ones.</summary>
    internal SinkCounts First { get; private set; }

    /// <summary>The largest counts that a repeat of the closing record has.</summary>
    internal SinkCounts Last { get; private set; }

    /// <summary>The flow and rest records that have not come, as far as a closing record says so.</summary>
    internal ulong Missing => IsClosed ? Records - Math.Min(Math.Min(Came, _numbers.CountBelow(Records)), Records) : 0;

    /// <summary>Whether the missing records are the first ones, and the exporter issued others before this interval.</summary>
    internal bool LacksBeginning => Missing > 0 && _numbers.CountBelow(Missing) == 0 && First.Issued > Records;

    /// <summary>The least append time of its records, closing ones too, in the unit of <see cref="WholeSpan"/>; MaxValue: they have none.</summary>
    internal long FirstAppend { get; private set; } = long.MaxValue;

    /// <summary>The greatest one; MinValue: they have none.</summary>
    internal long LastAppend { get; private set; } = long.MinValue;

    /// <summary>Notes when one of its records was appended.</summary>
    internal void NoteAppend(long time) => (FirstAppend, LastAppend) = (Math.Min(FirstAppend, time), Math.Max(LastAppend, time));

    /// <summary>Adds a flow or rest record.</summary>
    internal IdOutcome Add(RecordReader record)
    {
        AddTime(record);
        _numbers.Add(record.Required(RecordField.Sequence));
        var outcome = _ids.Add(record.Id, DigestOf(record));
        SealIfWhole();
        return outcome;
    }

    /// <summary>Adds a closing record.</summary>
    /// <returns>Whether it is a repeat.</returns>
    internal bool Close(RecordReader record, Findings problems)
    {
        AddTime(record);
        var records = record.Required(RecordField.IntervalRecords);
        var counts = new SinkCounts(record.Required(RecordField.Issued), record.Required(RecordField.Acknowledged), record.Required(RecordField.Lost));
        if (record.Required(RecordField.Sequence) is var last && last != records)
        {
            problems.Add($"{name}: its closing record has the number {last}, and counts {records} records before it");
        }
        if ((UInt128)counts.Acknowledged + counts.Lost > counts.Issued)
        {
            problems.Add($"{name}: {counts.Acknowledged} records are acknowledged and {counts.Lost} lost, but {counts.Issued} issued");
        }
        if (!IsClosed)
        {
            (IsClosed, Records, _closingId, First, Last) = (true, records, record.Id, counts, counts);
            SealIfWhole();
            return false;
        }
        if (record.Id != _closingId)
        {
            problems.Add($"{name}: it has closing records of two sinks; verify the records of one sink at a time");
        }
        else if (records != Records)
        {
            problems.Add($"{name}: closing records with one id count {Records} and {records} records");
        }
        (First, Last) = (SinkCounts.Min(First, counts), SinkCounts.Max(Last, counts));
        return true;
    }

    /// <summary>Reports records that there should not be.</summary>
    internal void Check(Findings problems)
    {
        if (_hasOtherTimes)
        {
            problems.Add($"{name}: its records differ in @timestamp");
        }
        if (!IsClosed)
        {
            return;
        }
        if (Came > Records)
        {
            problems.Add($"{name}: {Came} records came, but its closing record counts {Records}");
        }
        if (_numbers.Largest >= Records)
        {
            problems.Add($"{name}: a record has the number {_numbers.Largest}, but its closing record counts {Records} from 0");
        }
    }

    /// <summary>A repeat is equal in these: time and the pod's counts.</summary>
    private static ulong DigestOf(RecordReader record)
    {
        var counts = record.PodCounts;
        return XxHash3.HashToUInt64(MemoryMarshal.AsBytes<ulong>(
        [
            (ulong)record.Dataset,
            record.Required(RecordField.Timestamp),
            (ulong)counts.TransmitBytes,
            (ulong)counts.TransmitPackets,
            (ulong)counts.ReceiveBytes,
            (ulong)counts.ReceivePackets,
        ]));
    }

    private void AddTime(RecordReader record)
    {
        _timestamp ??= record.Count(RecordField.Timestamp);
        _hasOtherTimes |= _timestamp != record.Count(RecordField.Timestamp);
    }

    private void SealIfWhole()
    {
        if (IsClosed && Came == Records && Missing == 0)
        {
            _ids.Seal();
            _numbers.Seal();
        }
    }
}
