using System.IO.Hashing;
using System.Text;
using System.Text.Json;

namespace Exporter.Verification;

/// <summary>
/// Reads records of schema 1, one JSON object at a time, and keeps the fields of the last one. Further fields are skipped. Texts are kept for the reader's
/// life, each once; else nothing is allocated for a record.
/// </summary>
/// <param name="fields">The fields that are kept: <see cref="RecordFields.Verified"/> or <see cref="RecordFields.All"/>.</param>
internal sealed class RecordReader(IEnumerable<RecordField> fields)
{
    private const ulong SupportedSchema = 1;

    /// <summary>More records than an interval can have; a larger number would take memory for those before it.</summary>
    private const ulong MaxSequence = 1 << 26;

    private readonly FieldNode _root = FieldNode.Create(fields);
    private readonly NameTable _names = new();
    private readonly string?[] _texts = new string?[RecordFields.Count];
    private readonly ulong?[] _counts = new ulong?[RecordFields.Count];
    private UInt128? _id;

    /// <summary>Why the last line is not a record.</summary>
    internal string Reason { get; private set; } = "";

    internal Dataset Dataset { get; private set; }

    /// <summary>The hash of event.id.</summary>
    internal UInt128 Id => _id!.Value;

    /// <summary>Whether the pod of the observer's interface is the source; of flow records.</summary>
    internal bool IsObservedAtSource => _texts[(int)RecordField.FlowObserver] == "source";

    /// <summary>Whether the pod sent the packets; of rest records.</summary>
    internal bool IsTransmitRest => _texts[(int)RecordField.RestDirection] == "transmit";

    /// <summary>Whether the pod of the observer's interface is in the record's source; of flow and rest records.</summary>
    internal bool IsPodSource => Dataset == Dataset.Rest ? IsTransmitRest : IsObservedAtSource;

    /// <summary>Null: the record does not have it.</summary>
    internal string? Text(RecordField field) => _texts[(int)field];

    /// <summary>A count, or ticks of a time in UTC; null: the record does not have it.</summary>
    internal ulong? Count(RecordField field) => _counts[(int)field];

    /// <summary>A count that is required, or ticks of a time in UTC.</summary>
    internal ulong Required(RecordField field) => _counts[(int)field]!.Value;

    /// <summary>The counts of a flow or rest record as the pod sees them.</summary>
    internal PodCounts PodCounts => (Dataset, IsPodSource) switch
    {
        (Dataset.Rest, true) => new(Required(RecordField.RestBytes), Required(RecordField.RestPackets), 0, 0),
        (Dataset.Rest, false) => new(0, 0, Required(RecordField.RestBytes), Required(RecordField.RestPackets)),
        (_, true) => new(
            Required(RecordField.SourceBytes), Required(RecordField.SourcePackets), Required(RecordField.DestinationBytes), Required(RecordField.DestinationPackets)),
        _ => new(
            Required(RecordField.DestinationBytes), Required(RecordField.DestinationPackets), Required(RecordField.SourceBytes), Required(RecordField.SourcePackets)),
    };

    internal LineOutcome Read(ReadOnlySpan<byte> line)
    {
        Array.Clear(_texts);
        Array.Clear(_counts);
        (_id, Reason) = (null, "");
        // Not the final block: then a line that was cut is not an error, but ends.
        var reader = new Utf8JsonReader(line, isFinalBlock: false, default);
        try
        {
            if (!reader.Read())
            {
                return Refuse("is empty");
            }
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return Refuse("is not a JSON object");
            }
            if (!ReadObject(ref reader, _root))
            {
                return LineOutcome.Cut;
            }
            reader.Read();
        }
        catch (JsonException e)
        {
            return Refuse($"is not JSON at column {e.BytePositionInLine + 1}");
        }
        catch (InvalidOperationException)
        {
            // An escape in a name or a text is half of a character, or its bytes are not UTF-8. The reader looks at that where the text is asked for.
            return Refuse($"is not JSON at column {reader.TokenStartIndex + 1}");
        }
        return Reason.Length > 0 ? LineOutcome.Bad : Check();
    }

    private LineOutcome Refuse(string reason)
    {
        Reason = reason;
        return LineOutcome.Bad;
    }

    /// <param name="node">Null: no field of the object is kept.</param>
    /// <returns>False: the line ends within the object.</returns>
    private bool ReadObject(ref Utf8JsonReader reader, FieldNode? node)
    {
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.EndObject)
            {
                return true;
            }
            var name = reader.ValueSpan;
            var child = node?.Find(ref reader);
            if (!reader.Read())
            {
                return false;
            }
            switch (reader.TokenType)
            {
                case JsonTokenType.StartObject when child?.Field is null:
                    if (!ReadObject(ref reader, child))
                    {
                        return false;
                    }
                    break;
                case JsonTokenType.Null:
                    Fail(child?.Field is { } field ? RecordFields.PathOf(field) : Encoding.UTF8.GetString(name), "is null; an absent value has no field");
                    break;
                default:
                    if (child?.Field is { } known)
                    {
                        Take(ref reader, known);
                    }
                    if (!reader.TrySkip())
                    {
                        return false;
                    }
                    break;
            }
        }
        return false;
    }

    private void Fail(string field, string problem)
    {
        if (Reason.Length == 0)
        {
            Reason = $"{field} {problem}";
        }
    }

    private void Take(ref Utf8JsonReader reader, RecordField field)
    {
        var index = (int)field;
        switch (RecordFields.KindOf(field), reader.TokenType)
        {
            case (FieldKind.Text, JsonTokenType.String):
                _texts[index] = _names[Bytes(ref reader)];
                break;
            case (FieldKind.Id, JsonTokenType.String):
                _id = XxHash128.HashToUInt128(Bytes(ref reader));
                break;
            case (FieldKind.Count, JsonTokenType.Number) when reader.TryGetUInt64(out var count):
                _counts[index] = count;
                break;
            case (FieldKind.Time, JsonTokenType.String) when reader.TryGetDateTimeOffset(out var time):
                _counts[index] = (ulong)time.UtcTicks;
                break;
            case var (kind, _):
                Fail(RecordFields.PathOf(field), kind switch
                {
                    FieldKind.Count => "is not a whole number of at least 0",
                    FieldKind.Time => "is not a time of RFC 3339",
                    _ => "is not a text",
                });
                break;
        }
    }

    /// <summary>The text that the reader is at; one with escapes is rare, and allocated.</summary>
    private static ReadOnlySpan<byte> Bytes(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            return reader.ValueSpan;
        }
        // An unescaped text is never longer.
        var bytes = new byte[reader.ValueSpan.Length];
        return bytes.AsSpan(0, reader.CopyString(bytes));
    }

    private LineOutcome Check()
    {
        switch (Text(RecordField.EventDataset))
        {
            case "podnet.flow":
                Dataset = Dataset.Flow;
                break;
            case "podnet.rest":
                Dataset = Dataset.Rest;
                break;
            case "podnet.interval":
                Dataset = Dataset.Interval;
                break;
            case "podnet.identity":
                Dataset = Dataset.Identity;
                break;
            case { } other:
                return Refuse($"event.dataset is '{other}', which is not a dataset of schema {SupportedSchema}");
            default:
                return Refuse("has no event.dataset");
        }
        foreach (var field in RecordFields.RequiredOf(Dataset))
        {
            if (_texts[(int)field] is null && _counts[(int)field] is null && (field != RecordField.Id || _id is null))
            {
                return Refuse($"has no {RecordFields.PathOf(field)}");
            }
        }
        return CheckValues();
    }

    private LineOutcome CheckValues()
    {
        if (Required(RecordField.Schema) is var schema and not SupportedSchema)
        {
            return Refuse($"podnet.schema is {schema}, and this version reads {SupportedSchema}; verify with the version that wrote it");
        }
        if (Dataset == Dataset.Flow && Text(RecordField.FlowObserver) is not ("source" or "destination"))
        {
            return Refuse($"flow.observer is '{Text(RecordField.FlowObserver)}', not source or destination");
        }
        if (Dataset == Dataset.Rest && Text(RecordField.RestDirection) is not ("transmit" or "receive"))
        {
            return Refuse($"rest.direction is '{Text(RecordField.RestDirection)}', not transmit or receive");
        }
        if (Count(RecordField.Sequence) > MaxSequence)
        {
            return Refuse($"observer.sequence is {Count(RecordField.Sequence)}, and at most {MaxSequence} can be");
        }
        return LineOutcome.Record;
    }
}
