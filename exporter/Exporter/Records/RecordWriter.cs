using System.Buffers;
using System.Text.Json;

namespace Exporter.Records;

/// <summary>
/// Writes records as JSON, a line each, by the definitions of their fields. Nothing is allocated once the buffer has room for the longest
/// record. Not for several threads at once.
/// </summary>
internal sealed class RecordWriter : IDisposable
{
    private const int UsualLength = 2048;

    private readonly ArrayBufferWriter<byte> _line = new(UsualLength);
    private readonly Utf8JsonWriter _json;
    private readonly FieldWriter _fields;
    private readonly RecordView _record = new();
    private readonly FieldPlace[][] _places;

    /// <param name="fields">Those that are written, in this order, as <see cref="RecordFields.All"/> or <see cref="RecordFields.Choose"/>.</param>
    internal RecordWriter(IReadOnlyList<RecordField> fields)
    {
        _json = new(_line, new() { Encoder = RecordText.Encoder, SkipValidation = true });
        _fields = new(_json);
        _places = new FieldPlace[(int)RecordDataset.Identity + 1][];
        foreach (var dataset in Enum.GetValues<RecordDataset>())
        {
            _places[(int)dataset] = FieldPlace.Of(fields.Where(field => field.IsIn(dataset)));
        }
    }

    /// <returns>The line with its end. It is valid until the next record is written, as with every kind of record.</returns>
    internal ReadOnlySpan<byte> Write(RecordContext context, FlowRecord flow)
    {
        _record.Show(context, flow);
        return Write();
    }

    /// <inheritdoc cref="Write(RecordContext, FlowRecord)"/>
    internal ReadOnlySpan<byte> Write(RecordContext context, RestRecord rest)
    {
        _record.Show(context, rest);
        return Write();
    }

    /// <inheritdoc cref="Write(RecordContext, FlowRecord)"/>
    internal ReadOnlySpan<byte> Write(RecordContext context, IntervalRecord interval)
    {
        _record.Show(context, interval);
        return Write();
    }

    /// <inheritdoc cref="Write(RecordContext, FlowRecord)"/>
    internal ReadOnlySpan<byte> Write(RecordContext context, IdentityRecord identity)
    {
        _record.Show(context, identity);
        return Write();
    }

    public void Dispose() => _json.Dispose();

    private ReadOnlySpan<byte> Write()
    {
        _line.ResetWrittenCount();
        _json.Reset();
        _fields.WriteRecord(_places[(int)_record.Dataset], _record);
        _json.Flush();
        _line.GetSpan(1)[0] = (byte)'\n';
        _line.Advance(1);
        return _line.WrittenSpan;
    }
}
