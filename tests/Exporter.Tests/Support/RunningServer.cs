using System.Net;
using System.Net.Sockets;
using System.Text;
using Exporter.Commands;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests.Support;

/// <summary>The real server on a port of the loopback interface; it has nothing that counts behind it.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    private readonly List<Socket> _sockets = [];
    private readonly ServerHost _server;

    private RunningServer(ServerHost server, FakeTimeProvider time)
    {
        (_server, Time) = (server, time);
        Address = new Uri(server.Urls.Single());
        Http = new HttpClient { BaseAddress = Address };
    }

    internal Uri Address { get; }

    internal HttpClient Http { get; }

    internal FakeTimeProvider Time { get; }

    /// <summary>Requests that have arrived and have no answer yet.</summary>
    internal int RunningRequests => _server.Gate.Running;

    internal double this[string reason] => _server.Refusals.Read(reason);

    internal static async Task<RunningServer> StartAsync(params (string Key, string? Value)[] settings)
    {
        var time = new FakeTimeProvider();
        var options = TestOptions.Read([("Server:Urls", settings.Any(setting => setting.Key == "Server:CertificateFile") ? "https://127.0.0.1:0" : "http://127.0.0.1:0"), .. settings]);
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("Logging:Console:LogLevel:Default", "None")]).Build();
        return new(await ServerHost.StartAsync(options.Server, configuration, time), time);
    }

    /// <summary>Until then requests wait, as at a start.</summary>
    internal void Serve() => _server.ShowStandby(StandbyReason.Waiting);

    /// <summary>Serves a page of so many bytes, and nothing else of use.</summary>
    internal void Serve(string page, int length) => _server.Content.Set(new(_server.Own.Registry, new(Time), new())
    {
        OfSignals = new Dictionary<string, (string, Func<byte[]>)> { [page] = ("text/plain", () => new byte[length]) },
    });

    internal async Task<Socket> ConnectAsync(string sent = "")
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(socket);
        await socket.ConnectAsync(IPAddress.Loopback, Address.Port);
        if (sent.Length > 0)
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(sent));
        }
        return socket;
    }

    /// <summary>Sends a request and reads the answer, on a connection that stays open.</summary>
    internal async Task<Socket> AskAndStayAsync(string path)
    {
        var socket = await ConnectAsync($"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        var buffer = new byte[4096];
        Assert.NotEqual(0, await socket.ReceiveAsync(buffer).WaitAsync(Silence.Limit));
        return socket;
    }

    /// <summary>Everything that comes until the server closes the connection.</summary>
    internal static async Task<string> ReadToEndAsync(Socket socket)
    {
        var (text, buffer) = (new StringBuilder(), new byte[4096]);
        try
        {
            while (await socket.ReceiveAsync(buffer).WaitAsync(Silence.Limit) is > 0 and var length)
            {
                text.Append(Encoding.ASCII.GetString(buffer, 0, length));
            }
        }
        catch (SocketException)
        {
            // Closed with something unread: a reset.
        }
        return text.ToString();
    }

    /// <summary>Whether the server has not closed it: the end can be read where nothing is left to read, and the rest of an answer may still be there.</summary>
    internal static bool IsOpen(Socket socket) => !socket.Poll(0, SelectMode.SelectRead) || socket.Available > 0;

    internal static async Task UntilAsync(Func<Task<bool>> wanted)
    {
        using var silence = new CancellationTokenSource(Silence.Limit);
        while (!await wanted())
        {
            await Task.Delay(5, silence.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Http.Dispose();
        _sockets.ForEach(socket => socket.Dispose());
    }
}
