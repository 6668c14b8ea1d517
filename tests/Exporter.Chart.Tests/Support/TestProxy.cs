using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Exporter.Chart.Tests.Support;

/// <summary>A proxy on loopback that takes CONNECT or SOCKS 5, and connects to the port on loopback whatever the host.</summary>
internal sealed class TestProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentQueue<string> _requests = new();
    private readonly X509Certificate2? _certificate;
    private readonly bool _isSocks;
    private readonly string? _answer;

    /// <param name="certificate">Of a proxy that speaks TLS.</param>
    /// <param name="answer">Given instead of a connection.</param>
    internal TestProxy(bool isSocks = false, X509Certificate2? certificate = null, string? answer = null)
    {
        (_isSocks, _certificate, _answer) = (isSocks, certificate, answer);
        _listener.Start();
        _ = AcceptAsync();
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The requests since the last call: the target, and the name and password.</summary>
    internal IReadOnlyList<string> Take()
    {
        var taken = new List<string>();
        while (_requests.TryDequeue(out var request))
        {
            taken.Add(request);
        }
        return taken;
    }

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync());
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        using (var target = new TcpClient())
        {
            try
            {
                Stream stream = client.GetStream();
                if (_certificate is not null)
                {
                    var tls = new SslStream(stream);
                    await tls.AuthenticateAsServerAsync(_certificate);
                    stream = tls;
                }
                var port = _isSocks ? await ReadSocksAsync(stream) : await ReadConnectAsync(stream);
                if (_answer is not null)
                {
                    await stream.WriteAsync(Encoding.ASCII.GetBytes(_answer));
                    return;
                }
                await target.ConnectAsync(IPAddress.Loopback, port);
                await stream.WriteAsync(_isSocks ? [5, 0, 0, 1, 127, 0, 0, 1, 0, 1] : "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"u8.ToArray());
                await Task.WhenAny(stream.CopyToAsync(target.GetStream()), target.GetStream().CopyToAsync(stream));
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or System.Security.Authentication.AuthenticationException)
            {
                // Either side has gone.
            }
        }
    }

    private async Task<int> ReadConnectAsync(Stream stream)
    {
        var head = "";
        while (!head.EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            head += (char)(await ReadAsync(stream, 1))[0];
        }
        var lines = head.Split("\r\n");
        _requests.Enqueue(string.Join(' ', [lines[0], .. lines.Where(line => line.StartsWith("Proxy-Authorization", StringComparison.Ordinal) || line.StartsWith("Host", StringComparison.Ordinal))]));
        return int.Parse(lines[0].Split(' ')[1].Split(':')[^1], CultureInfo.InvariantCulture);
    }

    private async Task<int> ReadSocksAsync(Stream stream)
    {
        var methods = await ReadAsync(stream, (await ReadAsync(stream, 2))[1]);
        var login = "";
        if (methods.Contains((byte)2))
        {
            await stream.WriteAsync(new byte[] { 5, 2 });
            var name = Encoding.ASCII.GetString(await ReadAsync(stream, (await ReadAsync(stream, 2))[1]));
            login = $"{name}:{Encoding.ASCII.GetString(await ReadAsync(stream, (await ReadAsync(stream, 1))[0]))}@";
            await stream.WriteAsync(new byte[] { 1, 0 });
        }
        else
        {
            await stream.WriteAsync(new byte[] { 5, 0 });
        }
        var host = (await ReadAsync(stream, 4))[3] switch
        {
            1 => $"{new IPAddress(await ReadAsync(stream, 4))}",
            4 => $"{new IPAddress(await ReadAsync(stream, 16))}",
            _ => Encoding.ASCII.GetString(await ReadAsync(stream, (await ReadAsync(stream, 1))[0])),
        };
        var port = await ReadAsync(stream, 2);
        _requests.Enqueue($"{login}{host}:{(port[0] << 8) + port[1]}");
        return (port[0] << 8) + port[1];
    }

    private static async Task<byte[]> ReadAsync(Stream stream, int length)
    {
        var bytes = new byte[length];
        await stream.ReadExactlyAsync(bytes);
        return bytes;
    }
}
