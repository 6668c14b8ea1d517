using System.Buffers;

namespace Exporter.Export;

/// <summary>Writes the record that closes an interval. It differs by sink, so each sink's cursor has it written when it gets there; cursors call it at the same time.</summary>
internal interface IClosingRecord
{
    /// <summary>The key of all closing records: the node's name.</summary>
    ReadOnlyMemory<byte> Key { get; }

    /// <summary>Writes one line, which ends in '\n'; with its key it has at most <see cref="ExportReader.MaxClosingBytes"/> bytes.</summary>
    /// <param name="counts">The sink's, at this moment: all records of the interval are acknowledged or lost by then, later ones may be issued.</param>
    void Write(string sink, in IntervalEnd end, in SinkCounts counts, IBufferWriter<byte> line);
}
