using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Exporter.Tests.Support;

/// <summary>Checks documents against a JSON Schema (draft 2020-12) of the keywords that the project writes. Another keyword is an error of the schema.</summary>
internal sealed class JsonSchemaCheck(string schema)
{
    private readonly JsonElement _schema = JsonDocument.Parse(schema).RootElement;

    /// <returns>The first thing that is wrong, by its path; null: the document is valid.</returns>
    internal string? ErrorIn(string document)
    {
        using var parsed = JsonDocument.Parse(document);
        return ErrorIn(_schema, parsed.RootElement, "");
    }

    private string? ErrorIn(JsonElement schema, JsonElement value, string path) =>
        schema.EnumerateObject().Select(keyword => ErrorIn(keyword, value, path)).FirstOrDefault(error => error is not null);

    private string? ErrorIn(JsonProperty keyword, JsonElement value, string path)
    {
        var expected = keyword.Value;
        var isString = value.ValueKind == JsonValueKind.String;
        return keyword.Name switch
        {
            "$schema" or "$id" or "$defs" or "title" or "description" => null,
            "$ref" => ErrorIn(_schema.GetProperty("$defs").GetProperty(expected.GetString()!["#/$defs/".Length..]), value, path),
            "oneOf" => Alternatives() is var errors && errors.Count(error => error is null) == 1 ? null : $"{path}: {errors.Count(error => error is null)} of oneOf: {string.Join("; ", errors)}",
            "anyOf" => Alternatives() is var errors && errors.Any(error => error is null) ? null : $"{path}: none of anyOf: {string.Join("; ", errors)}",
            "type" => Demand(TypeOf(value) is var type && (type == expected.GetString() || (type == "integer" && expected.GetString() == "number"))),
            "const" => Demand(JsonElement.DeepEquals(expected, value)),
            "enum" => Demand(expected.EnumerateArray().Any(one => JsonElement.DeepEquals(one, value))),
            "minimum" => Demand(value.GetDecimal() >= expected.GetDecimal()),
            "exclusiveMinimum" => Demand(value.GetDecimal() > expected.GetDecimal()),
            "maximum" => Demand(value.GetDecimal() <= expected.GetDecimal()),
            "minLength" => Demand(!isString || value.GetString()!.Length >= expected.GetInt32()),
            "pattern" => Demand(!isString || Regex.IsMatch(value.GetString()!, expected.GetString()!, RegexOptions.ECMAScript)),
            "format" => Demand(!isString || HasFormat(value.GetString()!, expected.GetString()!)),
            "required" => expected.EnumerateArray().Select(one => one.GetString()!).FirstOrDefault(name => !value.TryGetProperty(name, out _)) is { } missing ? $"{path}: no {missing}" : null,
            "properties" => expected.EnumerateObject().Select(one => value.TryGetProperty(one.Name, out var member) ? ErrorIn(one.Value, member, $"{path}.{one.Name}") : null).FirstOrDefault(error => error is not null),
            "additionalProperties" => expected.GetBoolean() ? null : throw new NotSupportedException("Only additional properties that are allowed are known."),
            "minProperties" => Demand(value.EnumerateObject().Count() >= expected.GetInt32()),
            "minItems" => Demand(value.GetArrayLength() >= expected.GetInt32()),
            "items" => value.EnumerateArray().Select((item, i) => ErrorIn(expected, item, $"{path}[{i}]")).FirstOrDefault(error => error is not null),
            _ => throw new NotSupportedException($"The keyword {keyword.Name} is not known."),
        };

        string? Demand(bool holds) => holds ? null : $"{path}: {value.GetRawText()} is against {keyword.Name} {expected.GetRawText()}";

        List<string?> Alternatives() => [.. expected.EnumerateArray().Select(one => ErrorIn(one, value, path))];
    }

    private static string TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "object",
        JsonValueKind.Array => "array",
        JsonValueKind.String => "string",
        JsonValueKind.Number => value.TryGetUInt64(out _) || value.TryGetInt64(out _) ? "integer" : "number",
        JsonValueKind.Null => "null",
        _ => "boolean",
    };

    private static bool HasFormat(string text, string format) => format switch
    {
        "ipv4" => IPAddress.TryParse(text, out var address) && address.AddressFamily == AddressFamily.InterNetwork && text.Count(letter => letter == '.') == 3,
        "ipv6" => IPAddress.TryParse(text, out var address) && address.AddressFamily == AddressFamily.InterNetworkV6 && !text.Contains('%', StringComparison.Ordinal),
        "date-time" => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, out _),
        _ => throw new NotSupportedException($"The format {format} is not known."),
    };
}
