using System.Net;
using System.Text.Json;

namespace Exporter.Kubernetes;

/// <summary>The API server refused a request.</summary>
/// <param name="code">An HTTP status, of the answer or of an ERROR event.</param>
/// <param name="retryAfter">How long the API server asks clients to wait; null if it does not ask.</param>
internal sealed class ApiException(int code, string message, TimeSpan? retryAfter = null) : Exception($"The API server answers {code}: {message}")
{
    internal int Code => code;

    internal TimeSpan? RetryAfter => retryAfter;
}

/// <summary>Why a request to the API server failed. In the order of the label's values.</summary>
internal enum ApiProblem
{
    /// <summary>401.</summary>
    Unauthorized,

    /// <summary>403.</summary>
    Forbidden,

    /// <summary>410: the requested version is too old.</summary>
    Gone,

    /// <summary>429.</summary>
    TooManyRequests,

    /// <summary>Any other status than 200.</summary>
    Refused,

    /// <summary>The connection could not be made, or broke.</summary>
    Unreachable,

    /// <summary>No data came for too long.</summary>
    Silent,

    /// <summary>The answer could not be read.</summary>
    Unreadable,

    /// <summary>The connection of a watch that had lasted was closed, as by a balancer that closes idle ones.</summary>
    Cut,
}

/// <summary>Sorts errors by the problem that they show.</summary>
internal static class ApiProblems
{
    internal static ApiProblem Of(Exception e) => e switch
    {
        ApiException answer => Of(answer.Code),
        TimeoutException => ApiProblem.Silent,
        JsonException => ApiProblem.Unreadable,
        _ => ApiProblem.Unreachable,
    };

    private static ApiProblem Of(int code) => (HttpStatusCode)code switch
    {
        HttpStatusCode.Unauthorized => ApiProblem.Unauthorized,
        HttpStatusCode.Forbidden => ApiProblem.Forbidden,
        HttpStatusCode.Gone => ApiProblem.Gone,
        HttpStatusCode.TooManyRequests => ApiProblem.TooManyRequests,
        _ => ApiProblem.Refused,
    };
}
