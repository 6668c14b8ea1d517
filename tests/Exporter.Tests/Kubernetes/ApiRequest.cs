using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Exporter.Tests.Kubernetes;

/// <summary>A request as it reached the server.</summary>
internal sealed class ApiRequest
{
    internal const string Pods = "/api/v1/pods";

    private const string Bearer = "Bearer ";

    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Dictionary<string, string> _parameters;

    internal ApiRequest(int number, TimeSpan at, HttpContext context)
    {
        Number = number;
        At = at;
        Connection = context.Connection.Id;
        Method = context.Request.Method;
        Path = context.Request.Path;
        Query = context.Request.QueryString.Value ?? "";
        Headers = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        _parameters = context.Request.Query.ToDictionary(parameter => parameter.Key, parameter => parameter.Value.ToString());
    }

    /// <summary>In the order of arrival, from 1.</summary>
    internal int Number { get; }

    /// <summary>Since the server was made.</summary>
    internal TimeSpan At { get; }

    internal string Connection { get; }

    internal string Method { get; }

    internal string Path { get; }

    /// <summary>As sent, with the question mark.</summary>
    internal string Query { get; }

    internal IReadOnlyDictionary<string, string> Headers { get; }

    internal bool HasAuthorization => Headers.ContainsKey(HeaderNames.Authorization);

    internal string? Token =>
        Headers.TryGetValue(HeaderNames.Authorization, out var value) && value.StartsWith(Bearer, StringComparison.Ordinal) ? value[Bearer.Length..] : null;

    internal bool IsWatch => Path == Pods && this["watch"] is "1" or "true";

    internal bool IsList => Path == Pods && !IsWatch;

    /// <summary>The server has done with it: it is answered, or the client has left.</summary>
    internal Task Ended => _ended.Task;

    /// <summary>A parameter of the query.</summary>
    internal string? this[string parameter] => _parameters.GetValueOrDefault(parameter);

    public override string ToString() => $"{Number}: {Method} {Path}{Query}";

    internal void End() => _ended.TrySetResult();
}
