using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Exporter.Tests.Support;

/// <summary>Answers of servers, as bytes. Those with a name are recorded from OpenSearch 2.19.6.</summary>
internal static class SearchAnswers
{
    private static readonly Lazy<Dictionary<string, string>> Recorded = new(() =>
        File.ReadAllText(Path.Combine(Repository.Root, "tests/Exporter.Tests/Recordings/opensearch-2.19.6.txt"))
            .Split("=== ", StringSplitOptions.RemoveEmptyEntries)
            .ToDictionary(part => part[..part.IndexOf('\n', StringComparison.Ordinal)], part => part[(part.IndexOf('\n', StringComparison.Ordinal) + 1)..]));

    internal static byte[] Of(string name)
    {
        var text = Recorded.Value[name];
        var end = text.IndexOf("\n\n", StringComparison.Ordinal);
        var body = text[(end + 2)..];
        var length = int.Parse(text.Split('\n').First(line => line.StartsWith("content-length", StringComparison.Ordinal)).Split(' ')[1], CultureInfo.InvariantCulture);
        return [.. Encoding.UTF8.GetBytes(text[..end].Replace("\n", "\r\n", StringComparison.Ordinal) + "\r\n\r\n"), .. Encoding.UTF8.GetBytes(body).AsSpan(0, length)];
    }

    internal static byte[] Json(string body, int status = 200) => Text(body, status, "application/json; charset=UTF-8");

    internal static byte[] Text(string body, int status, string mediaType = "text/html", string header = "") =>
        Encoding.UTF8.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"HTTP/1.1 {status} Reason\r\ncontent-type: {mediaType}\r\n{header}content-length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}"));

    /// <summary>The answer to a bulk, with an item of each status.</summary>
    internal static byte[] Items(params IEnumerable<int> statuses) => Json($$"""{"errors":true,"items":[{{string.Join(',', statuses.Select(ItemOf))}}]}""");

    /// <summary>The answer to a bulk, with an item of status 400 for each error, and one of 201 for each null.</summary>
    internal static byte[] Errors(params IEnumerable<(string Type, string Reason)?> errors) => Json(
        $$"""{"errors":true,"items":[{{string.Join(',', errors.Select(error => error is var (type, reason)
            ? new JsonObject { ["create"] = new JsonObject { ["status"] = 400, ["error"] = new JsonObject { ["type"] = type, ["reason"] = reason } } }.ToJsonString()
            : ItemOf(201)))}}]}""");

    private static string ItemOf(int status) => status is 200 or 201
        ? FormattableString.Invariant($"{{\"create\":{{\"status\":{status}}}}}")
        : FormattableString.Invariant($"{{\"create\":{{\"status\":{status},\"error\":{{\"type\":\"type_{status}\",\"reason\":\"reason of {status}\"}}}}}}");
}
