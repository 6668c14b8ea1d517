using Exporter.Bpf;
using Exporter.Export;
using Exporter.Records;

namespace Exporter.Signals.Flows;

using LossReason = Exporter.Export.LossReason;

/// <summary>Writes the records of one interval after the other into the ring. Used by the drain alone.</summary>
/// <param name="hurries">Whether the next interval is due: then the slowest sink's oldest records give way.</param>
/// <param name="leaves">Whether no other interval follows, and sinks had their time: then the records without room are left to the next process or session, which writes all of the interval again.</param>
internal sealed class FlowWriter(
    FlowExport export, FlowRecordMaker maker, IFlowShaper shaper, FlowIdentities identities, Func<bool> hurries, Func<bool> leaves, LastInterval last, FlowMetrics metrics)
{
    /// <summary>Between two looks whether there is room, or the next interval is due.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    private readonly ExportRing? _ring = export.Ring;
    private readonly RecordWriter _writer = export.Writer;
    private readonly LineKey _key = new();

    private long _records;
    private long _bytes;

    /// <summary>The flow and rest records of the interval that are left.</summary>
    private long _left;

    /// <summary>The end of an interval that is left, which no sink is to see; null: it is not.</summary>
    private IntervalEnd? _leftEnd;

    /// <summary>Writes all records of an interval, and ends it, unless some are left. The one before is closed.</summary>
    /// <param name="rows">As they were read; flows have their numbers.</param>
    internal void Write(FlowInterval interval, ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows)
    {
        (_records, _bytes, _left) = (0, 0, 0);
        var context = interval.Context;
        _ring?.Begin((ulong)context.Interval);
        last.Begin();
        var flows = shaper.Shape(interval, rows, maker);
        for (var i = 0; i < flows; i++)
        {
            var record = shaper.Make(i, interval, rows, maker);
            record.Sequence = _records;
            var key = _key.Of(context, record);
            shaper.Hide(record);
            Append(_writer.Write(context, record), LineKind.Flow, key);
            metrics.CountRecord(RecordDataset.Flow);
        }
        foreach (var rest in interval.Rests)
        {
            foreach (var reason in RestCounts.Reasons)
            {
                if (rest[reason] is { Packets: > 0 } count)
                {
                    Append(_writer.Write(context, maker.Make(rest, reason, _records)), LineKind.Rest, export.Key.Span);
                    metrics.CountRecord(RecordDataset.Rest);
                    metrics.CountUnrecorded(reason, count);
                }
            }
        }
        foreach (var identity in shaper.Addresses == AddressPolicy.Full ? identities.FindDue(context.Timestamp) : [])
        {
            Append(_writer.Write(context, identity), LineKind.Identity, _key.Of(identity.Address));
        }
        last.End();
        var end = new IntervalEnd((ulong)context.Interval, _records, _bytes, context.Start, context.Timestamp);
        _leftEnd = _left > 0 ? end : null;
        if (_left == 0)
        {
            _ring?.End(end);
        }
    }

    /// <summary>Another interval follows one that was left all the same, and takes its rows: its records are lost.</summary>
    internal void Close()
    {
        if (_leftEnd is not { } end)
        {
            return;
        }
        foreach (var reader in _ring!.Readers)
        {
            reader.Lose(_left, LossReason.Backpressure);
        }
        _ring.End(end);
        _leftEnd = null;
    }

    private void Append(ReadOnlySpan<byte> line, LineKind kind, ReadOnlySpan<byte> lineKey)
    {
        last.Add(line);
        if (!TryAppend(line, kind, lineKey))
        {
            _left += kind == LineKind.Identity ? 0 : 1;
        }
        (_records, _bytes) = kind == LineKind.Identity ? (_records, _bytes) : (_records + 1, _bytes + line.Length);
    }

    /// <summary>Waits for room, where there is none.</summary>
    /// <returns>False: the record is left, as those before it were.</returns>
    private bool TryAppend(ReadOnlySpan<byte> line, LineKind kind, ReadOnlySpan<byte> lineKey)
    {
        while (_left == 0 && _ring is not null)
        {
            if (_ring.TryAppend(line, kind, lineKey))
            {
                return true;
            }
            if (leaves())
            {
                return false;
            }
            if (!hurries() || !_ring.DropOldest())
            {
                Thread.Sleep(Look);
            }
        }
        return _ring is null;
    }
}
