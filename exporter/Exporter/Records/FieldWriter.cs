using System.Globalization;
using System.Text.Json;

namespace Exporter.Records;

/// <summary>
/// Writes the values of a record's fields, which come in the order of their definitions. An object is begun before the first value in it, so
/// that none is empty. Empty values are not written.
/// </summary>
internal sealed class FieldWriter(Utf8JsonWriter json)
{
    private FieldObject? _open;
    private FieldPlace? _place;

    internal void WriteRecord(ReadOnlySpan<FieldPlace> places, RecordView record)
    {
        // A record that failed has left objects open.
        _open = null;
        json.WriteStartObject();
        foreach (var place in places)
        {
            _place = place;
            place.Field.Write(record, this);
        }
        Close(null);
        json.WriteEndObject();
    }

    internal void Integer(ulong value)
    {
        Begin();
        json.WriteNumberValue(value);
    }

    internal void Integer(ulong? value)
    {
        if (value is { } known)
        {
            Integer(known);
        }
    }

    internal void Integer(long value)
    {
        Begin();
        json.WriteNumberValue(value);
    }

    internal void Number(double? value)
    {
        if (value is { } known)
        {
            Begin();
            json.WriteNumberValue(known);
        }
    }

    internal void Text(JsonEncodedText text)
    {
        if (!text.EncodedUtf8Bytes.IsEmpty)
        {
            Begin();
            json.WriteStringValue(text);
        }
    }

    internal void Text(string text)
    {
        if (text.Length > 0)
        {
            Begin();
            json.WriteStringValue(text);
        }
    }

    /// <param name="text">In UTF-8.</param>
    internal void Text(ReadOnlySpan<byte> text)
    {
        if (!text.IsEmpty)
        {
            Begin();
            json.WriteStringValue(text);
        }
    }

    internal void Address(FlowAddress address)
    {
        if (!address.IsNone)
        {
            Begin();
            WriteValue(address);
        }
    }

    internal void Time(DateTimeOffset? time)
    {
        // The round-trip format has ticks; the first 23 bytes are those to the millisecond.
        const int Milliseconds = 23;
        if (time is { } known)
        {
            Begin();
            Span<byte> text = stackalloc byte[32];
            _ = known.UtcDateTime.TryFormat(text, out _, "O", CultureInfo.InvariantCulture);
            text[Milliseconds] = (byte)'Z';
            json.WriteStringValue(text[..(Milliseconds + 1)]);
        }
    }

    internal void Addresses(List<FlowAddress> addresses)
    {
        if (addresses.Count > 0)
        {
            Begin();
            json.WriteStartArray();
            foreach (var address in addresses)
            {
                WriteValue(address);
            }
            json.WriteEndArray();
        }
    }

    internal void Integers(List<ushort> values)
    {
        if (values.Count > 0)
        {
            Begin();
            json.WriteStartArray();
            foreach (var value in values)
            {
                json.WriteNumberValue((uint)value);
            }
            json.WriteEndArray();
        }
    }

    /// <summary>Writes the texts whose bits are set.</summary>
    internal void Texts(ReadOnlySpan<(byte Bit, JsonEncodedText Text)> texts, byte bits)
    {
        if (bits != 0)
        {
            Begin();
            json.WriteStartArray();
            foreach (var (bit, text) in texts)
            {
                if ((bits & bit) != 0)
                {
                    json.WriteStringValue(text);
                }
            }
            json.WriteEndArray();
        }
    }

    private void WriteValue(FlowAddress address)
    {
        Span<byte> text = stackalloc byte[FlowAddress.MaxText];
        _ = address.TryFormat(text, out var length);
        json.WriteStringValue(text[..length]);
    }

    private void Begin()
    {
        if (_place!.Object != _open)
        {
            Close(_place.Object);
            Open(_place.Object);
        }
        json.WritePropertyName(_place.Name);
    }

    /// <summary>Ends all open objects that this one is not in.</summary>
    private void Close(FieldObject? place)
    {
        while (_open is { } open && !IsIn(place, open))
        {
            json.WriteEndObject();
            _open = open.Parent;
        }
    }

    /// <summary>Begins this object and those that it is in, behind the ones that are open.</summary>
    private void Open(FieldObject? place)
    {
        if (place is not null && place != _open)
        {
            Open(place.Parent);
            json.WritePropertyName(place.Name);
            json.WriteStartObject();
            _open = place;
        }
    }

    private static bool IsIn(FieldObject? place, FieldObject other)
    {
        while (place is not null && place.Depth > other.Depth)
        {
            place = place.Parent;
        }
        return ReferenceEquals(place, other);
    }
}
