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
        _server.Blocking = false;
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
    [InlineData("16 03 01", false)]
    [InlineData("16 03 01 00 06", false)]
    [InlineData("16 03 01 00 06 01 00 00 02 AA", false)]
    [InlineData("16 03 01 00 06 01 00 00 02 AA BB", true)]
    [InlineData("16 03 01 00 06 01 00 00 02 AA BB 16", true)]
    // In several records, as some clients send it.
    [InlineData("16 03 01 00 01 01", false)]
    [InlineData("16 03 01 00 06 01 00 00 03 AA BB", false)]
    [InlineData("16 03 01 00 01 01 16 03 01 00 03 00 00 02 16 03 01 00 02 AA", false)]
    [InlineData("16 03 01 00 01 01 16 03 01 00 03 00 00 02 16 03 01 00 02 AA BB", true)]
    // No client begins with this message, which is known from its type and length.
    [InlineData("16 03 01 00 03 02 00 00", false)]
    [InlineData("16 03 01 00 04 02 00 00 AA", true)]
    public void A_client_hello_is_complete_when_all_its_records_are_there(string sent, bool isComplete) =>
        Assert.Equal(isComplete ? FirstMessage.State.Complete : FirstMessage.State.Unfinished, Send(Bytes(sent), isTls: true));

    [Theory]
    [InlineData("47")]
    [InlineData("80 2E 01 03 01")]
    [InlineData("15 03 01 00 02 01 00")]
    [InlineData("16 02")]
    [InlineData("16 03 01 00 01 01 15 03 01 00 02 01 00")]
    public void A_client_that_does_not_begin_with_a_TLS_handshake_is_given_up(string sent) =>
        Assert.Equal(FirstMessage.State.Foreign, Send(Bytes(sent), isTls: true));

    [Fact]
    public void A_client_that_does_not_begin_with_a_TLS_handshake_is_known_as_such_when_it_has_hung_up()
    {
        Send("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), isTls: true);
        _client.Close();
        Assert.Equal(FirstMessage.State.Foreign, FirstMessage.Peek(_server, isTls: true));
    }

    [Fact]
    public void A_client_hello_that_does_not_end_is_given_up()
    {
        var record = new byte[16 << 10];
        (record[0], record[1], record[2], record[3], record[4]) = (22, 3, 1, 0x3F, 0xFB);
        (record[5], record[6]) = (1, 1);
        Assert.Equal(FirstMessage.State.Foreign, Send([.. record, .. record], isTls: true));
    }

    [Theory]
    [InlineData("", false, false)]
    [InlineData("", true, false)]
    [InlineData("GET /metrics HT", false, false)]
    [InlineData("GET /metrics HT", true, false)]
    [InlineData("", false, true)]
    [InlineData("\u0016\u0003\u0001", false, true)]
    [InlineData("\u0016\u0003\u0001", true, true)]
    public void A_client_that_closes_or_resets_its_connection_is_noticed(string sent, bool resets, bool isTls)
    {
        if (sent.Length > 0)
        {
            Assert.Equal(FirstMessage.State.Unfinished, Send(Encoding.Latin1.GetBytes(sent), isTls));
        }
        _client.LingerState = new(resets, 0);
        _client.Close();
        Assert.True(SpinWait.SpinUntil(() => FirstMessage.Peek(_server, isTls) == FirstMessage.State.Closed, Silence.Limit));
    }

    [Fact]
    public void A_request_stays_complete_when_its_client_closes_its_half()
    {
        Send("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), isTls: false);
        _client.Shutdown(SocketShutdown.Send);
        Assert.Equal(FirstMessage.State.Complete, FirstMessage.Peek(_server, isTls: false));
    }

    [Fact]
    public void Looking_does_not_wait() => Assert.Equal(FirstMessage.State.Unfinished, FirstMessage.Peek(_server, isTls: false));

    [Fact]
    public void A_request_without_an_end_is_read_by_what_refuses_it() => Assert.Equal(FirstMessage.State.Long, Send(Encoding.ASCII.GetBytes(new string('x', 40_000)), isTls: false, wanted: 32 << 10));

    [Fact]
    public void Looking_takes_nothing_away()
    {
        Send("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), isTls: false);
        var buffer = new byte[64];
        Assert.Equal("GET / HTTP/1.1\r\n\r\n", Encoding.ASCII.GetString(buffer, 0, _server.Receive(buffer)));
    }

    private static byte[] Bytes(string hexadecimal) => Convert.FromHexString(hexadecimal.Replace(" ", "", StringComparison.Ordinal));

    private FirstMessage.State Send(byte[] sent, bool isTls, int? wanted = null)
    {
        _client.Send(sent);
        SpinWait.SpinUntil(() => _server.Available >= (wanted ?? sent.Length), Silence.Limit);
        return FirstMessage.Peek(_server, isTls);
    }
}
