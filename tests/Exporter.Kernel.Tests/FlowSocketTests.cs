using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Round trips and retransmissions in records are the pod's own socket's, as `ss` shows it, and no other's.</summary>
public sealed partial class FlowSocketTests(FlowLives lives) : IClassFixture<FlowLives>
{
    /// <summary>Far more than a round trip between a pod and its host.</summary>
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(20);

    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(10);

    private static long LeastNanoseconds => (long)Delay.TotalNanoseconds;

    [Fact]
    public async Task The_round_trip_is_the_one_that_the_pod_s_socket_has()
    {
        using var path = new DelayedPath(lives.Other, Delay);
        using var life = lives.Watch(lives.One);
        using var listener = lives.Other.Listen();
        using var connection = Connection.Open(lives.One, new(lives.One.Address, 0), listener, path.Address);
        TalkFor(connection, rounds: 40);
        var (smoothed, least) = ReadRoundTrips(lives.One, connection.ServerEnd);
        connection.Client.Close();
        connection.Server.Close();

        var records = await life.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        var last = records.Last(record => record.Has("tcp.rtt.smoothed"));
        Assert.InRange(last.Number("tcp.rtt.smoothed"), smoothed / 2, smoothed * 2);
        Assert.InRange(last.Number("tcp.rtt.min"), LeastNanoseconds, least * 2);
        Assert.All(records, record => Assert.Equal(record.Has("tcp.rtt.smoothed"), record.Has("tcp.rtt.min")));
        Assert.Equal(0, records.Sum(record => record.Number("tcp.retransmits")));
    }

    [Fact]
    public async Task Without_a_sample_there_is_no_round_trip_and_repeated_SYNs_are_retransmissions()
    {
        const string Nowhere = "10.251.0.10";
        using var route = Blackhole.At(Nowhere);
        using var life = lives.Watch(lives.One);
        using var client = TcpSockets.Open(lives.One);
        client.Bind(new IPEndPoint(lives.One.Address, 0));
        var nowhere = new IPEndPoint(IPAddress.Parse(Nowhere), 80);
        client.Begin(nowhere);
        await lives.Node.ReadUntilAsync(_ => life.Packets.Count(packet => packet.To.Equals(nowhere)) >= 2);

        var records = await life.EndAsync("tcp", client.LocalEndPoint!, nowhere);

        Assert.All(records, record => Assert.False(record.Has("tcp.rtt"), record.ToString()));
        Assert.True(records.Sum(record => record.Number("tcp.retransmits")) >= 1, "no SYN was repeated");
        Assert.All(records.Where(record => record.Number("source.packets") > 0), record => Assert.True(record.Has("tcp.retransmits")));
    }

    /// <summary>
    /// Of a connection whose other half takes another way, a pod's interface carries only the host's packets, each with the host's socket: with a long round trip.
    /// </summary>
    [Fact]
    public async Task A_host_s_socket_is_never_looked_at()
    {
        using var path = new DelayedPath(lives.Other, Delay);
        using var life = lives.Watch(lives.Other);
        using var listener = lives.Other.Listen();
        using var connection = Connection.Open(null, new(path.HostAddress, 0), listener, lives.Other.Address);
        TalkFor(connection, rounds: 40);
        Assert.True(connection.Client.RoundTrip() >= Delay.TotalMicroseconds, "the host's socket has no long round trip");
        connection.Client.Close();
        connection.Server.Close();

        var records = await life.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        Assert.All(records, record => Assert.Equal("destination", record.Text("flow.observer")));
        Assert.True(records.Sum(record => record.Number("source.packets")) > 40);
        Assert.Equal(0, records.Sum(record => record.Number("destination.packets")));
        Assert.All(records, record => Assert.False(record.Has("tcp.rtt") || record.Has("tcp.retransmits"), record.ToString()));
    }

    /// <summary>The host has a connection to another pod with a long round trip of its own; the pod's socket has a short one.</summary>
    [Fact]
    public async Task The_destination_s_round_trip_is_its_own_socket_s()
    {
        using var path = new DelayedPath(lives.Other, Delay);
        using var far = lives.Other.Listen();
        using var slow = Connection.Open(null, new(path.HostAddress, 0), far, path.Address);
        using var life = lives.Watch(lives.One);
        using var connection = Connection.Open(lives.One, fromPod: false);
        for (var round = 0; round < 40; round++)
        {
            slow.Send(100);
            TalkFor(connection, rounds: 1);
        }
        var (smoothed, _) = ReadRoundTrips(lives.One, connection.ClientEnd);
        Assert.True(slow.Client.RoundTrip() >= Delay.TotalMicroseconds, "the host's socket has no long round trip");
        connection.Client.Close();
        connection.Server.Close();

        var records = await life.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        var last = records.Last(record => record.Has("tcp.rtt.smoothed"));
        Assert.Equal("destination", last.Text("flow.observer"));
        Assert.InRange(last.Number("tcp.rtt.smoothed"), smoothed / 4, Math.Min(smoothed * 4, LeastNanoseconds));
    }

    /// <summary>The host drops what the client sends for some time.</summary>
    [Fact]
    public async Task Retransmissions_are_those_of_each_connection_s_own_socket_in_the_interval()
    {
        using var source = lives.Watch(lives.One);
        using var destination = lives.Watch(lives.Other);
        using var listener = lives.Other.Listen();
        var client = new IPEndPoint(lives.One.Address, 19_020);
        var server = new IPEndPoint(lives.Other.Address, listener.Port());
        uint lost = 0;
        for (var use = 0; use < 2; use++)
        {
            using var connection = Connection.Open(lives.One, client, listener, server.Address);
            TalkFor(connection, rounds: 20);
            await source.SettleAsync();
            if (use == 0)
            {
                lost = LoseSome(connection);
                await source.SettleAsync();
            }
            TalkFor(connection, rounds: 2);
            // Where the server ends it first, the client can use its port again at once.
            connection.Server.Shutdown(SocketShutdown.Send);
            Assert.Equal(0, connection.Client.Receive(new byte[1]));
            connection.Client.Close();
            await source.SettleAsync();
        }

        var own = await source.EndAsync("tcp", client, server);
        var others = await destination.EndAsync("tcp", client, server);

        Assert.Equal(2, own.Sum(record => record.Connections));
        Assert.Equal(lost, own.Sum(record => record.Number("tcp.retransmits")));
        Assert.Equal(0, others.Sum(record => record.Number("tcp.retransmits")));
    }

    /// <summary>Sends and answers in turn, so that each round is a round trip.</summary>
    private static void TalkFor(Connection connection, int rounds)
    {
        for (var round = 0; round < rounds; round++)
        {
            connection.Send(100);
            connection.Answer(100);
        }
    }

    /// <summary>Sends while the host drops it until the socket has sent it twice more. Returns how often it was sent again.</summary>
    private static uint LoseSome(Connection connection)
    {
        using (Blackhole.At(connection.ServerEnd.Address.ToString()))
        {
            connection.Client.Send(new byte[1000]);
            Assert.True(SpinWait.SpinUntil(() => Wait(() => connection.Client.Retransmits() >= 2), Silence.Limit), "nothing was sent again");
        }
        for (var received = 0; received < 1000;)
        {
            received += connection.Server.Receive(new byte[1000]);
        }
        // When it has an answer, it has had all acknowledgements before.
        TalkFor(connection, rounds: 1);
        return connection.Client.Retransmits();
    }

    private static bool Wait(Func<bool> isThere)
    {
        Thread.Sleep(Moment);
        return isThere();
    }

    /// <summary>Of a pod's socket, by ss(8); in nanoseconds.</summary>
    private static (long Smoothed, long Least) ReadRoundTrips(Pod pod, IPEndPoint other)
    {
        var text = pod.Namespace.Exec("ss", "-tinH", "dst", $"{other.Address}:{other.Port.ToString(CultureInfo.InvariantCulture)}");
        return (Find(Smoothed()), Find(Least()));

        long Find(Regex field)
        {
            var found = field.Match(text);
            Assert.True(found.Success, text);
            return (long)(double.Parse(found.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * 1e6);
        }
    }

    [GeneratedRegex(@"\brtt:([0-9.]+)/")]
    private static partial Regex Smoothed();

    [GeneratedRegex(@"\bminrtt:([0-9.]+)")]
    private static partial Regex Least();
}
