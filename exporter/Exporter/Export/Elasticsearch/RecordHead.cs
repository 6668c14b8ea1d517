using System.Text.Json;

namespace Exporter.Export.Elasticsearch;

/// <summary>The parts of a record that a bulk needs: its id and its day. Both stand at the beginning of a line, so little of it is read.</summary>
/// <param name="Id">Where the text of event.id begins in the line, behind its quote.</param>
/// <param name="IdLength">The length of that text as it stands in JSON, in bytes.</param>
/// <param name="Day">The day of @timestamp in UTC, as <see cref="DateOnly.DayNumber"/>.</param>
internal readonly record struct RecordHead(int Id, int IdLength, int Day)
{
    /// <summary>The limit of Elasticsearch for _id, in bytes: a longer one would refuse the whole request.</summary>
    private const int MaxIdLength = 512;

    /// <summary>Reads without allocating, whatever the order of the fields is.</summary>
    /// <returns>False: the record has no id or no time, or is not JSON up to these.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> line, out RecordHead head)
    {
        head = default;
        var (id, day) = ((Start: 0, Length: 0), -1);
        try
        {
            var reader = new Utf8JsonReader(line);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while ((id.Length == 0 || day < 0) && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isTime = reader.ValueTextEquals("@timestamp"u8);
                var isEvent = reader.ValueTextEquals("event"u8);
                if (!reader.Read())
                {
                    return false;
                }
                if (isTime && reader.TokenType == JsonTokenType.String && reader.TryGetDateTimeOffset(out var time))
                {
                    day = DateOnly.FromDateTime(time.UtcDateTime).DayNumber;
                }
                else if (isEvent && reader.TokenType == JsonTokenType.StartObject)
                {
                    id = ReadId(ref reader);
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        catch (JsonException)
        {
            return false;
        }
        head = new(id.Start, id.Length, day);
        return id.Length is > 0 and <= MaxIdLength && day >= 0;
    }

    /// <summary>Reads an object to its end, with its member id.</summary>
    private static (int Start, int Length) ReadId(ref Utf8JsonReader reader)
    {
        var id = (0, 0);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isId = reader.ValueTextEquals("id"u8);
            if (!reader.Read())
            {
                break;
            }
            if (isId && reader.TokenType == JsonTokenType.String)
            {
                id = ((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
            }
            reader.Skip();
        }
        return id;
    }
}
