using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Exporter.Tests.Kubernetes;

/// <summary>A failure as the API server words it, in an answer or in an ERROR event.</summary>
internal sealed class ApiFailure : Exception
{
    private const string User = "system:serviceaccount:podnet-system:podnet-exporter";
    private const string ContinueTooOld =
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the "
        + "continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
        + "that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

    private ApiFailure(int code, string? reason, string message, string metadata = "", string details = "")
        : base(message)
    {
        Code = code;
        Json = $$"""{"kind":"Status","apiVersion":"v1","metadata":{{{metadata}}},"status":"Failure","message":{{Quote(message)}},{{(reason is null ? "" : $"\"reason\":\"{reason}\",")}}{{details}}"code":{{code}}}""";
    }

    internal int Code { get; }

    /// <summary>The object of kind Status.</summary>
    internal string Json { get; }

    internal int RetryAfter { get; init; }

    internal string ContentType { get; private init; } = "application/json";

    /// <summary>What the answer's body is.</summary>
    internal string Body => Code == 429 ? Message : Json + "\n";

    /// <summary>The line of a watch.</summary>
    internal byte[] Event => Encoding.UTF8.GetBytes($$"""{"type":"ERROR","object":{{Json}}}""" + "\n");

    internal static ApiFailure Unauthorized() => new(401, "Unauthorized", "Unauthorized");

    internal static ApiFailure Forbidden(bool watch, string user = User) =>
        new(403, "Forbidden", $"pods is forbidden: User \"{user}\" cannot {(watch ? "watch" : "list")} resource \"pods\" in API group \"\" at the cluster scope", details: "\"details\":{\"kind\":\"pods\"},");

    internal static ApiFailure BadRequest(string message) => new(400, "BadRequest", message);

    internal static ApiFailure NotANumber(string version, bool watch)
    {
        var message = $"resourceVersion: Invalid value: \"{version}\": strconv.ParseUint: parsing \"{version}\": invalid syntax";
        return watch ? new(500, null, message) : BadRequest("invalid resource version: " + message);
    }

    internal static ApiFailure TooOld(long version, long oldest) => new(410, "Expired", $"too old resource version: {version} ({oldest})");

    internal static ApiFailure ListTooOld() => new(410, "Expired", "The resourceVersion for the provided list is too old.");

    internal static ApiFailure ContinueExpired(string token) => new(410, "Expired", ContinueTooOld, metadata: $"\"continue\":\"{token}\"");

    internal static ApiFailure TooLarge(long version, long current) =>
        new(504, "Timeout", $"Timeout: Too large resource version: {version}, current: {current}", details: "\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource version\"}],\"retryAfterSeconds\":1},") { RetryAfter = 1 };

    internal static ApiFailure NotFound() => new(404, "NotFound", "the server could not find the requested resource", details: "\"details\":{},");

    /// <summary>A failure by its code alone.</summary>
    internal static ApiFailure Of(int code, bool watch, int retryAfter = 0) =>
        code switch
        {
            401 => Unauthorized(),
            403 => Forbidden(watch),
            410 => ListTooOld(),
            429 => new(429, null, "Too many requests, please try again later.\n") { RetryAfter = retryAfter, ContentType = "text/plain; charset=utf-8" },
            500 => new(500, "InternalError", "Internal error occurred: etcdserver: leader changed", details: "\"details\":{\"causes\":[{\"message\":\"etcdserver: leader changed\"}]},") { RetryAfter = retryAfter },
            503 => new(503, "ServiceUnavailable", "the server is currently unable to handle the request") { RetryAfter = retryAfter },
            504 => new(504, "Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded", details: "\"details\":{},") { RetryAfter = retryAfter },
            _ => new(code, null, $"status {code}") { RetryAfter = retryAfter },
        };

    private static string Quote(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";
}
