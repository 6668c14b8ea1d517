using System.Net;
using System.Text;

namespace Exporter.Tests.Support;

/// <summary>Answers requests as an exporter would, without a network.</summary>
/// <param name="answer">The answer to the request of this number, from 0. May throw.</param>
internal sealed class FakeExporter(Func<int, (HttpStatusCode Status, string Body)> answer) : HttpMessageHandler
{
    private readonly List<string> _requests = [];

    /// <summary>The address of each request, and its credentials.</summary>
    internal IReadOnlyList<string> Requests => _requests;

    /// <summary>The schemes of credentials that a refusal asks for.</summary>
    internal IReadOnlyList<string> Challenges { get; init; } = [];

    /// <summary>The body of each answer instead of the text; null: the text.</summary>
    internal Stream? Body { get; init; }

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        _requests.Add($"{request.RequestUri} {request.Headers.Authorization}".TrimEnd());
        var (status, body) = answer(_requests.Count - 1);
        var response = new HttpResponseMessage(status) { Content = Body is null ? new ByteArrayContent(Encoding.UTF8.GetBytes(body)) : new StreamContent(Body) };
        foreach (var challenge in Challenges)
        {
            response.Headers.WwwAuthenticate.ParseAdd(challenge);
        }
        return Task.FromResult(response);
    }
}
