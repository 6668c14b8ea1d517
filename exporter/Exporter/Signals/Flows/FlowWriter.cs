using System.Buffers.Text;
using Exporter.Bpf;
using Exporter.Export;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>Writes the records of one interval after the other into the _ring. Used by the drain alone.</summary>
/// <param name="hurries">Whether the next interval is due: then the slowest sink's oldest records give way.</param>
internal sealed class FlowWriter(FlowExport export, FlowRecordMaker maker, FlowIdentities identities, Func<bool> hurries, LastInterval last, FlowMetrics metrics)
{
    /// <summary>Between two looks whether there is room, or the next interval is due.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    private readonly ExportRing? _ring = export.Ring;
    private readonly RecordWriter _writer = export.Writer;

    /// <summary>An address, a port and a protocol.</summary>
    private readonly byte[] _flowKey = new byte[FlowAddress.MaxText + 16];

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
        foreach (ref readonly var flow in interval.Flows)
        {
            var record = maker.Make(interval, flow, flow.HasPackets ? rows[flow.Row].Value : default, _records);
            Append(_writer.Write(context, record), LineKind.Flow, KeyOf(record));
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
        foreach (var identity in identities.FindDue(context.Timestamp))
        {
            Append(_writer.Write(context, identity), LineKind.Identity, KeyOf(identity.Address));
        }
        last.End();
        _ring?.End(new((ulong)context.Interval, _records, _bytes, context.Start, context.Timestamp));
    }

    private void Append(ReadOnlySpan<byte> line, LineKind kind, ReadOnlySpan<byte> lineKey)
    {
        last.Add(line);
        while (_ring?.TryAppend(line, kind, lineKey) == false)
        {
            if (hurries())
            {
                _ring.DropOldest();
            }
            else
            {
                Thread.Sleep(Look);
            }
        }
        (_records, _bytes) = kind == LineKind.Identity ? (_records, _bytes) : (_records + 1, _bytes + line.Length);
    }

    private ReadOnlySpan<byte> KeyOf(FlowAddress address)
    {
        _ = address.TryFormat(_flowKey, out var length);
        return _flowKey.AsSpan(0, length);
    }

    /// <summary>The end that began: all records of its connections are in one partition.</summary>
    private ReadOnlySpan<byte> KeyOf(FlowRecord record)
    {
        _ = record.Source.Address.TryFormat(_flowKey, out var length);
        _flowKey[length++] = (byte)'|';
        _ = Utf8Formatter.TryFormat(record.Source.Port, _flowKey.AsSpan(length), out var digits);
        length += digits;
        _flowKey[length++] = (byte)'|';
        _ = Utf8Formatter.TryFormat(record.Protocol, _flowKey.AsSpan(length), out digits);
        return _flowKey.AsSpan(0, length + digits);
    }
}
