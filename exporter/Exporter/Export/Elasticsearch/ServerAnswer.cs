using System.Net;
using System.Text;
using System.Text.Json;

namespace Exporter.Export.Elasticsearch;

/// <summary>The answer to one request.</summary>
/// <param name="From">The server's address, for messages.</param>
/// <param name="Body">Valid until the next request of the connection.</param>
internal readonly record struct ServerAnswer(HttpStatusCode Status, string From, ReadOnlyMemory<byte> Body)
{
    private const int MaxShown = 300;

    /// <summary>Whether it begins as JSON; pages of proxies do not.</summary>
    internal bool IsJson => Body.Span.TrimStart(" \t\r\n"u8) is [(byte)'{', ..];

    /// <summary>Whether it is JSON to its end.</summary>
    internal bool IsWholeJson
    {
        get
        {
            var reader = new Utf8JsonReader(Body.Span);
            try
            {
                while (reader.Read())
                {
                }
                return IsJson;
            }
            catch (JsonException)
            {
                return false;
            }
        }
    }

    /// <summary>The status in words, with the server's own reason where the body has it, at most 300 characters of it.</summary>
    internal string Describe()
    {
        var status = FormattableString.Invariant($"{(int)Status} {Status}");
        var reason = IsJson ? ErrorIn(Body) : "";
        return reason.Length == 0 ? status : $"{status}: {Shorten(reason)}";
    }

    /// <summary>Cuts a text of a server for a log line.</summary>
    internal static string Shorten(string text)
    {
        text = text.ReplaceLineEndings(" ").TrimEnd('.', ';', ' ');
        return text.Length <= MaxShown ? text : text[..MaxShown] + "...";
    }

    /// <summary>The beginning of a body that is not JSON, for a log line.</summary>
    internal string Preview()
    {
        const int Most = 80;
        var text = Encoding.UTF8.GetString(Body.Span[..Math.Min(Body.Length, MaxShown)]);
        var words = string.Join(' ', text.Split([' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries));
        return words.Length <= Most ? words : words[..Most] + "...";
    }

    /// <summary>The element at a path of members; null: it is not there.</summary>
    internal static JsonElement? At(JsonElement element, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element))
            {
                return null;
            }
        }
        return element;
    }

    /// <summary>The text at a path of members; null: there is none.</summary>
    internal static string? TextAt(JsonElement element, params ReadOnlySpan<string> path) =>
        At(element, path) is { ValueKind: JsonValueKind.String } text ? TextOf(text) : null;

    /// <summary>The error is an object with type and reason, or a text.</summary>
    private static string ErrorIn(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var (type, reason) = (TextAt(document.RootElement, "error", "type") ?? "", TextAt(document.RootElement, "error", "reason") ?? "");
            return TextAt(document.RootElement, "error") ?? (type.Length > 0 && reason.Length > 0 ? $"{type}: {reason}" : type + reason);
        }
        catch (JsonException)
        {
            return "";
        }
    }

    private static string TextOf(JsonElement text)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException)
        {
            // Not UTF-8, or half of a pair.
            return text.GetRawText();
        }
    }
}
