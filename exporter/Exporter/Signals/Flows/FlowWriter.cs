using Exporter.Bpf;
using Exporter.Export;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>Writes the records of one interval after the other into the ring. Used by the drain alone.</summary>
/// <param name="hurries">Whether the next interval is due: then the slowest sink's oldest records give way.</param>
internal sealed class FlowWriter(FlowExport export, FlowRecordMaker maker, IFlowShaper shaper, FlowIdentities identities, Func<bool> hurries, LastInterval last, FlowMetrics metrics)
{
    /// <summary>Between two looks whether there is room, or the next interval is due.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    private readonly ExportRing? _ring = export.Ring;
    private readonly RecordWriter _writer = export.Writer;
    private readonly LineKey _key = new();

    private long _records;
    private long _bytes;

    /// <summary>Writes all records of an interval, and ends it.</summary>
    /// <param name="rows">As they were read; flows have their numbers.</param>
    internal void Write(FlowInterval interval, ReadOnlySpan<DrainedRow<FlowKey, FlowValue>> rows)
    {
        (_records, _bytes) = (0, 0);
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
        _ring?.End(new((ulong)context.Interval, _records, _bytes, context.Start, context.Timestamp));
    }

    private void Append(ReadOnlySpan<byte> line, LineKind kind, ReadOnlySpan<byte> lineKey)
    {
        last.Add(line);
        while (_ring?.TryAppend(line, kind, lineKey) == false)
        {
            if (!hurries() || !_ring.DropOldest())
            {
                Thread.Sleep(Look);
            }
        }
        (_records, _bytes) = kind == LineKind.Identity ? (_records, _bytes) : (_records + 1, _bytes + line.Length);
    }
}
