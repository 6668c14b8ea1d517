using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace Exporter.Engine.Tests.Support;

/// <summary>The token endpoint of an identity provider (RFC 6749, client credentials); its tokens are not signed.</summary>
internal sealed class TokenServer : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly string _authorization;

    /// <param name="client">A client's id and secret; others get no token.</param>
    internal TokenServer(string client, string secret)
    {
        _authorization = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{client}:{secret}"));
        Url = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Take()}/token");
        _listener.Prefixes.Add(Url + "/");
        _listener.Start();
        _ = AnswerAsync(client);
    }

    internal string Url { get; }

    public void Dispose() => _listener.Close();

    private async Task AnswerAsync(string client)
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
            var isKnown = context.Request.Headers["Authorization"] == _authorization;
            context.Response.StatusCode = (int)(isKnown ? HttpStatusCode.OK : HttpStatusCode.Unauthorized);
            context.Response.ContentType = "application/json";
            await JsonSerializer.SerializeAsync(
                context.Response.OutputStream,
                isKnown ? new { access_token = Token(client), token_type = "Bearer", expires_in = 3600 } : (object)new { error = "invalid_client", error_description = "the secret is wrong" });
            context.Response.Close();
        }
    }

    /// <summary>A JSON Web Token (RFC 7519, section 6).</summary>
    private static string Token(string subject)
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        return $"{Encode(new { alg = "none" })}.{Encode(new { sub = subject, iat = now, exp = now + 3600, scope = "records" })}.";
    }

    private static string Encode(object part) => Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(part));
}
