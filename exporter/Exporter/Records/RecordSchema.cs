using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Exporter.Records;

/// <summary>podnet-exporter flows schema --for=json-schema: the JSON Schema (draft 2020-12) of a record of any kind.</summary>
internal static class RecordSchema
{
    internal static string Write()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new() { Indented = true, IndentSize = 2, NewLine = "\n", Encoder = RecordText.Encoder }))
        {
            json.WriteStartObject();
            json.WriteString("$schema", "https://json-schema.org/draft/2020-12/schema");
            json.WriteString("$id", $"urn:podnet:records:{RecordFields.Schema}");
            json.WriteString("title", $"Records of podnet-exporter, schema {RecordFields.Schema}");
            json.WriteStartArray("oneOf");
            foreach (var dataset in Enum.GetValues<RecordDataset>())
            {
                json.WriteStartObject();
                json.WriteString("$ref", $"#/$defs/{RecordText.Name(dataset)}");
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartObject("$defs");
            foreach (var dataset in Enum.GetValues<RecordDataset>())
            {
                json.WritePropertyName(RecordText.Name(dataset));
                WriteObject(json, dataset, "", [.. RecordFields.All.Where(field => field.IsIn(dataset))]);
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <param name="path">The object's path with a dot behind it; empty: the record itself.</param>
    /// <param name="fields">Those in it, also in objects in it.</param>
    private static void WriteObject(Utf8JsonWriter json, RecordDataset dataset, string path, IReadOnlyList<RecordField> fields)
    {
        var members = fields.GroupBy(field => field.Path[path.Length..].Split('.')[0]).ToList();
        json.WriteStartObject();
        json.WriteString("type", "object");
        json.WriteBoolean("additionalProperties", true);
        json.WriteNumber("minProperties", 1);
        if (members.Where(member => member.Any(field => field.IsRequired)).Select(member => member.Key).ToList() is { Count: > 0 } required)
        {
            WriteTexts(json, "required", required);
        }
        json.WriteStartObject("properties");
        foreach (var member in members)
        {
            json.WritePropertyName(member.Key);
            if (member.First() is var field && field.Path == path + member.Key)
            {
                WriteField(json, dataset, field);
            }
            else
            {
                WriteObject(json, dataset, $"{path}{member.Key}.", [.. member]);
            }
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteField(Utf8JsonWriter json, RecordDataset dataset, RecordField field)
    {
        json.WriteStartObject();
        json.WriteString("description", field.Unit.Length == 0 ? field.Description : $"{field.Description} In {field.Unit}.");
        if (field.IsList)
        {
            json.WriteString("type", "array");
            json.WriteNumber("minItems", 1);
            json.WriteStartObject("items");
            WriteValue(json, dataset, field);
            json.WriteEndObject();
        }
        else
        {
            WriteValue(json, dataset, field);
        }
        json.WriteEndObject();
    }

    private static void WriteValue(Utf8JsonWriter json, RecordDataset dataset, RecordField field)
    {
        json.WriteString("type", field.Type switch { FieldType.Integer => "integer", FieldType.Number => "number", _ => "string" });
        switch (field.Type)
        {
            case FieldType.Integer when field.Values is [var only]:
                json.WriteNumber("const", long.Parse(only, CultureInfo.InvariantCulture));
                break;
            case FieldType.Integer:
                json.WriteNumber("minimum", 0);
                break;
            case FieldType.Number:
                json.WriteNumber("exclusiveMinimum", 0);
                break;
            case FieldType.Ip:
                json.WriteStartArray("anyOf");
                WriteFormat(json, "ipv4");
                WriteFormat(json, "ipv6");
                json.WriteEndArray();
                break;
            case FieldType.Date:
                json.WriteString("format", "date-time");
                json.WriteString("pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$");
                break;
            case FieldType.Keyword when field.Values.Contains(RecordText.NameOf(dataset)):
                json.WriteString("const", RecordText.NameOf(dataset));
                break;
            case FieldType.Keyword when field.Values.Count > 0:
                WriteTexts(json, "enum", field.Values);
                break;
            default:
                json.WriteNumber("minLength", 1);
                break;
        }
        if (field.Maximum is { } maximum)
        {
            json.WriteNumber("maximum", maximum);
        }
        if (field.Pattern is not null)
        {
            json.WriteString("pattern", field.Pattern);
        }
    }

    private static void WriteFormat(Utf8JsonWriter json, string format)
    {
        json.WriteStartObject();
        json.WriteString("format", format);
        json.WriteEndObject();
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, IEnumerable<string> texts)
    {
        json.WriteStartArray(name);
        foreach (var text in texts)
        {
            json.WriteStringValue(text);
        }
        json.WriteEndArray();
    }
}
