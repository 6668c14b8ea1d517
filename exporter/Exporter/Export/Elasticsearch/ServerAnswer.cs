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

    /// <summary>The error is an object with type and reason, or a text.</summary>
    private static string ErrorIn(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            if (!document.RootElement.TryGetProperty("error", out var error))
            {
                return "";
            }
            if (error.ValueKind == JsonValueKind.String)
            {
                return error.GetString()!;
            }
            var type = TextOf(error, "type");
            var reason = TextOf(error, "reason");
            return type.Length > 0 && reason.Length > 0 ? $"{type}: {reason}" : type + reason;
        }
        catch (JsonException)
        {
            return "";
        }
    }

    private static string TextOf(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
