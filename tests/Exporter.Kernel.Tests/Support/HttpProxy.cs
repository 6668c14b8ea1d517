using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Takes CONNECT, and connects to the port on loopback, whatever the name.</summary>
internal sealed class HttpProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentQueue<string> _requests = new();

    internal HttpProxy()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Their first lines.</summary>
    internal IReadOnlyCollection<string> Requests => _requests;

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
                var stream = client.GetStream();
                var lines = new List<string>();
                while (await ReadLineAsync(stream) is { Length: > 0 } line)
                {
                    lines.Add(line);
                }
                _requests.Enqueue(lines[0]);
                await target.ConnectAsync(IPAddress.Loopback, int.Parse(lines[0].Split(':', ' ')[2], System.Globalization.CultureInfo.InvariantCulture));
                await stream.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray());
                await Task.WhenAny(stream.CopyToAsync(target.GetStream()), target.GetStream().CopyToAsync(stream));
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
            {
                // Either side has gone.
            }
        }
    }

    private static async Task<string> ReadLineAsync(NetworkStream stream)
    {
        var line = new List<byte>();
        var one = new byte[1];
        while (await stream.ReadAsync(one) == 1 && one[0] != '\n')
        {
            line.Add(one[0]);
        }
        return System.Text.Encoding.ASCII.GetString([.. line]).TrimEnd('\r');
    }
}
