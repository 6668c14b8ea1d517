using System.Net;
using System.Net.Sockets;
using System.Text;
using Exporter.Server;

namespace Exporter.Tests;

/// <summary>What has to have arrived of a connection before the server does more for it than keep a socket.</summary>
public sealed class FirstMessageTests : IDisposable
{
    private readonly Socket _client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Socket _server;

    public FirstMessageTests()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        _client.Connect(listener.LocalEndPoint!);
        _server = listener.Accept();
    }

    public void Dispose()
    {
        _client.Dispose();
        _server.Dispose();
    }

    [Theory]
    [InlineData("G", false)]
    [InlineData("GET /metrics HTTP/1.1\r\nHost: x\r\n", false)]
    [InlineData("GET /metrics HTTP/1.1\r\nHost: x\r\n\r", false)]
    [InlineData("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", true)]
    [InlineData("GET /metrics HTTP/1.0\n\n", true)]
    [InlineData("GET /metrics HTTP/1.1\nHost: x\n\r\n", true)]
    [InlineData("\u0016\u0003\u0001", true)]
    public void A_request_is_complete_with_its_empty_line_and_what_is_no_request_is_an_error_at_once(string sent, bool isComplete) =>
        Assert.Equal(isComplete ? FirstMessage.State.Complete : FirstMessage.State.Unfinished, Send(Encoding.Latin1.GetBytes(sent), isTls: false));

    [Theory]
    [InlineData(3, false)]
    [InlineData(5, false)]
    [InlineData(516, false)]
    [InlineData(517, true)]
    [InlineData(600, true)]
    public void A_client_hello_is_complete_with_its_record(int length, bool isComplete)
    {
        var record = new byte[600];
        (record[0], record[1], record[2], record[3], record[4]) = (22, 3, 1, 2, 0);
        Assert.Equal(isComplete ? FirstMessage.State.Complete : FirstMessage.State.Unfinished, Send(record[..length], isTls: true));
    }

    [Fact]
    public void What_is_no_TLS_is_an_error_at_once() => Assert.Equal(FirstMessage.State.Complete, Send("G"u8.ToArray(), isTls: true));

    [Fact]
    public void A_request_without_an_end_is_read_by_what_refuses_it() => Assert.Equal(FirstMessage.State.Long, Send(Encoding.ASCII.GetBytes(new string('x', 40_000)), isTls: false, wanted: 32 << 10));

    [Fact]
    public void Looking_takes_nothing_away()
    {
        Send("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), isTls: false);
        var buffer = new byte[64];
        Assert.Equal("GET / HTTP/1.1\r\n\r\n", Encoding.ASCII.GetString(buffer, 0, _server.Receive(buffer)));
    }

    private FirstMessage.State Send(byte[] sent, bool isTls, int? wanted = null)
    {
        _client.Send(sent);
        SpinWait.SpinUntil(() => _server.Available >= (wanted ?? sent.Length), Silence.Limit);
        return FirstMessage.Look(_server, isTls);
    }
}
