using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Exporter.Tests.Support;

/// <summary>A server of HTTP that answers as OpenSearch does where it is healthy, and bulks as a test says.</summary>
internal sealed class SearchServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentQueue<byte[]?> _bulks = new();
    private readonly ConcurrentQueue<SearchRequest> _requests = new();
    private readonly X509Certificate2? _certificate;
    private readonly Task _accepting;

    /// <param name="certificate">Null: without TLS.</param>
    internal SearchServer(X509Certificate2? certificate = null)
    {
        _certificate = certificate;
        _listener.Start();
        Url = new($"{(certificate is null ? "http" : "https")}://localhost:{((IPEndPoint)_listener.LocalEndpoint).Port}/");
        _accepting = AcceptAsync();
    }

    internal Uri Url { get; }

    /// <summary>The answers to requests that are no bulks; null ends the connection.</summary>
    internal Func<SearchRequest, byte[]?> Other { get; set; } = Healthy;

    /// <summary>The answers to bulks that none was given for; null creates all records.</summary>
    internal Func<SearchRequest, byte[]?> Bulk { get; set; } = static _ => null;

    internal IReadOnlyList<SearchRequest> Requests => [.. _requests];

    internal IReadOnlyList<SearchRequest> Bulks => [.. _requests.Where(request => request.IsBulk)];

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        await _accepting;
        _end.Dispose();
    }

    /// <summary>Answers the next bulks so; without any it creates all records. Null: ends the connection without an answer.</summary>
    internal void Answer(params IEnumerable<byte[]?> answers)
    {
        foreach (var answer in answers)
        {
            _bulks.Enqueue(answer);
        }
    }

    /// <summary>Bulks get no more of the answers that were given.</summary>
    internal void Forget() => _bulks.Clear();

    internal static byte[]? Healthy(SearchRequest request) => request.Target switch
    {
        _ when request.Target.StartsWith("/?", StringComparison.Ordinal) => SearchAnswers.Of("kind"),
        _ when request.Target.StartsWith("/_index_template/podnet-flow?", StringComparison.Ordinal) => SearchAnswers.Of("template"),
        _ when request.Target.StartsWith("/_cluster/settings", StringComparison.Ordinal) => SearchAnswers.Of("auto-create-default"),
        _ => SearchAnswers.Text("", 404),
    };

    private async Task AcceptAsync()
    {
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                serving.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_end.Token)));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var _ = client;
        try
        {
            Stream stream = client.GetStream();
            if (_certificate is not null)
            {
                var tls = new SslStream(stream);
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _end.Token);
                stream = tls;
            }
            while (await ReadAsync(stream) is { } request)
            {
                _requests.Enqueue(request);
                var answer = !request.IsBulk ? Other(request) : _bulks.TryDequeue(out var scripted) ? scripted : Bulk(request) ?? SearchAnswers.Items(Enumerable.Repeat(201, request.Ids.Length));
                if (answer is null)
                {
                    return;
                }
                await stream.WriteAsync(answer, _end.Token);
                if (answer.Length < DeclaredLength(answer))
                {
                    return;
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or System.Security.Authentication.AuthenticationException)
        {
            // The client or the test has ended.
        }
    }

    /// <summary>The length of an answer as its header has it: one that is shorter is cut off, and the connection with it.</summary>
    private static int DeclaredLength(byte[] answer)
    {
        var text = Encoding.Latin1.GetString(answer);
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var line = text[..end].Split("\r\n").FirstOrDefault(header => header.StartsWith("content-length", StringComparison.OrdinalIgnoreCase));
        return end + 4 + (line is null ? 0 : int.Parse(line.Split(':')[1], CultureInfo.InvariantCulture));
    }

    private async Task<SearchRequest?> ReadAsync(Stream stream)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await stream.ReadAsync(one, _end.Token) == 0)
            {
                return null;
            }
            head.Append((char)one[0]);
        }
        var lines = head.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var headers = lines[1..].Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.OrdinalIgnoreCase);
        var body = new byte[headers.TryGetValue("Content-Length", out var length) ? int.Parse(length, CultureInfo.InvariantCulture) : 0];
        await stream.ReadExactlyAsync(body, _end.Token);
        var first = lines[0].Split(' ');
        return new(first[0], first[1], headers, body);
    }
}
