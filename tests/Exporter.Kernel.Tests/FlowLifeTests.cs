using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The records of known connections, from their first packet to their last, beside a capture of the pod's interface.</summary>
public sealed class FlowLifeTests(FlowLives lives) : IClassFixture<FlowLives>
{
    private const int Fin = 0x01, Syn = 0x02, Rst = 0x04;

    /// <summary>The host drops what is sent there, and says nothing.</summary>
    private const string Nowhere = "10.251.0.9";

    private Pod Pod => lives.One;

    [Theory]
    [InlineData(AddressFamily.InterNetwork, true)]
    [InlineData(AddressFamily.InterNetwork, false)]
    [InlineData(AddressFamily.InterNetworkV6, true)]
    [InlineData(AddressFamily.InterNetworkV6, false)]
    public async Task Shorter_than_an_interval_it_begins_and_ends_once(AddressFamily family, bool fromPod)
    {
        using var life = lives.Watch(Pod);
        using var connection = Connection.Open(Pod, family, fromPod);
        connection.Send(1000);
        connection.Answer(50_000);
        connection.Client.Close();
        connection.Server.Close();

        var records = await life.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        AssertOne(records, "closed", "fin", observer: fromPod ? "source" : "destination");
        Assert.True(records.Sum(record => record.Number("source.bytes")) > 1000);
        Assert.True(records.Sum(record => record.Number("destination.bytes")) > 50_000);
        Assert.Equal(records[0].Text("event.start"), records[0].Text("flow.start"));
    }

    [Fact]
    public async Task Open_over_several_intervals_each_record_has_what_was_sent_in_its_own()
    {
        using var life = lives.Watch(Pod);
        using var connection = Connection.Open(Pod);
        for (var interval = 1; interval <= 4; interval++)
        {
            connection.Send(1000 * interval);
            await life.SettleAsync();
        }
        connection.Client.Close();
        connection.Server.Close();

        var records = await life.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        AssertOne(records, "closed", "fin");
        Assert.InRange(records.Count, 4, 6);
        Assert.All(records.SkipLast(1), record => Assert.Equal("open", record.State));
        Assert.All(Enumerable.Range(1, 4), interval => Assert.Contains(
            records, record => record.Number("source.bytes") > 1000 * interval && record.Number("source.bytes") < (1000 * interval) + 600));
        Assert.All(records.Skip(1), record => Assert.DoesNotContain("SYN", record.Words("tcp.flags.source"), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Half_closed_for_several_intervals_it_is_open_until_the_other_end_closes()
    {
        using var life = lives.Watch(Pod);
        using var connection = Connection.Open(Pod);
        connection.Client.Shutdown(SocketShutdown.Send);
        for (var interval = 0; interval < 3; interval++)
        {
            await life.SettleAsync();
            connection.Answer(2000);
        }
        await life.SettleAsync();
        Assert.All(life.Records.Where(record => record.Number("source.port") == connection.ClientEnd.Port), record => Assert.Equal(("open", null), (record.State, record.EndReason)));
        connection.Server.Close();

        var records = await life.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        AssertOne(records, "closed", "fin");
        Assert.Single(records, record => record.Words("tcp.flags.source").Contains("FIN", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Refused_it_has_ended_by_a_reset(bool fromPod)
    {
        using var life = lives.Watch(Pod);
        using var client = TcpSockets.Open(fromPod ? Pod : null);
        client.Bind(new IPEndPoint(fromPod ? Pod.Address : Pod.HostAddress, 0));
        var closed = new IPEndPoint(fromPod ? Pod.HostAddress : Pod.Address, 9);
        Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => client.Connect(closed)).SocketErrorCode);

        var records = await life.EndAsync("tcp", client.LocalEndPoint!, closed);

        AssertOne(records, "refused", "reset", observer: fromPod ? "source" : "destination");
        Assert.Equal((1, 1), (records.Sum(record => record.Number("source.packets")), records.Sum(record => record.Number("destination.packets"))));
    }

    /// <summary>Also when its SYN is repeated after it is known that nothing answers.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Unanswered_it_is_one_connection_and_a_record_says_when_it_is_known(int repeats)
    {
        using var route = Blackhole.At(Nowhere);
        using var life = lives.Watch(Pod);
        using var client = TcpSockets.Open(Pod).WithSynRetries(repeats);
        client.Bind(new IPEndPoint(Pod.Address, 0));
        var nowhere = new IPEndPoint(IPAddress.Parse(Nowhere), 80);
        client.Begin(nowhere);
        await lives.Node.ReadUntilAsync(_ =>
            life.Packets.Count(packet => packet.To.Equals(nowhere)) > repeats && life.Records.LastOrDefault(record => record.Text("destination.ip") == Nowhere)?.State == "unanswered");

        var records = await life.EndAsync("tcp", client.LocalEndPoint!, nowhere);

        AssertOne(records, "unanswered", endReason: null);
        Assert.True(records.Sum(record => record.Number("tcp.syn.count")) > repeats);
        Assert.Equal("opening", records[0].State);
        Assert.All(records.SkipWhile(record => record.State == "opening"), record => Assert.Equal("unanswered", record.State));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Reset_by_one_end_it_has_ended_by_a_reset(bool byServer)
    {
        using var life = lives.Watch(Pod);
        using var connection = Connection.Open(Pod);
        connection.Send(100);
        await life.SettleAsync();
        (byServer ? connection.Server : connection.Client).WithReset().Close();

        var records = await life.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        AssertOne(records, "closed", "reset");
        Assert.Contains("RST", records[^1].Words(byServer ? "tcp.flags.destination" : "tcp.flags.source"), StringComparison.Ordinal);
        Assert.DoesNotContain("RST", records[^1].Words(byServer ? "tcp.flags.source" : "tcp.flags.destination"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_packet_after_the_FINs_begins_nothing_and_does_not_swap_the_ends(bool fromServer)
    {
        using var life = lives.Watch(Pod);
        using var connection = Connection.Open(Pod);
        connection.Client.Close();
        connection.Server.Close();
        await life.SettleAsync();
        using (var late = fromServer ? FrameSocket.Open(null, Pod.Interface) : FrameSocket.Open(Pod.Namespace, "eth0"))
        {
            late.Send(TcpFrames.Of(fromServer ? connection.ServerEnd : connection.ClientEnd, fromServer ? connection.ClientEnd : connection.ServerEnd, flags: 0x18));
        }

        var records = await life.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        AssertOne(records, "closed", "fin");
        Assert.Equal((1, 0), (records[^1].Number(fromServer ? "destination.packets" : "source.packets"), records[^1].Number(fromServer ? "source.packets" : "destination.packets")));
        Assert.Null(records[^1].EndReason);
    }

    [Fact]
    public async Task Of_a_tuple_that_is_used_again_within_200_ms_both_connections_are_counted_and_the_state_is_of_the_second()
    {
        using var life = lives.Watch(Pod);
        using var listener = TcpSockets.Listen(null);
        var (client, server) = (new IPEndPoint(Pod.Address, 19_001), new IPEndPoint(Pod.HostAddress, listener.Port()));
        for (var use = 0; use < 2; use++)
        {
            using var connection = Connection.Open(Pod, client, listener, Pod.HostAddress);
            connection.Send(100);
            if (use == 0)
            {
                connection.Client.WithReset();
            }
            connection.Client.Close();
            connection.Server.Close();
        }

        var records = await life.EndAsync("tcp", client, server);

        Assert.Equal(2, records.Sum(record => record.Connections));
        Assert.Equal(("closed", "fin"), (records[^1].State, records[^1].EndReason));
        Assert.Contains(records, record => record.Words("tcp.flags.source").Contains("RST", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_SYN_that_is_repeated_in_another_interval_is_of_the_connection_that_it_began()
    {
        using var life = lives.Watch(Pod);
        using var listener = lives.Other.Listen();
        using var client = TcpSockets.Open(Pod);
        client.Bind(new IPEndPoint(Pod.Address, 0));
        var server = new IPEndPoint(lives.Other.Address, listener.Port());
        using (Blackhole.At(server.Address.ToString()))
        {
            client.Begin(server);
            await life.SettleAsync();
        }
        Assert.True(client.Poll(Silence.Limit, SelectMode.SelectWrite));
        using (var accepted = listener.Accept())
        {
            client.Close();
        }

        var records = await life.EndAsync("tcp", life.Packets.First(packet => packet.To.Equals(server)).From, server);

        AssertOne(records, "closed", "fin");
        Assert.True(records.Sum(record => record.Number("tcp.syn.count")) >= 3, "no SYN was repeated");
        Assert.Equal("opening", records[0].State);
    }

    /// <summary>Whichever port is the higher one, and whichever end sends first in a later interval.</summary>
    [Theory]
    [InlineData(true, 41_001, 51_001)]
    [InlineData(true, 51_002, 41_002)]
    [InlineData(false, 41_003, 51_003)]
    [InlineData(false, 51_004, 41_004)]
    public async Task The_first_sender_of_datagrams_is_their_source_for_the_flow_s_whole_life(bool fromPod, int firstPort, int otherPort)
    {
        using var life = lives.Watch(Pod);
        using var first = OpenDatagrams(fromPod, firstPort);
        using var other = OpenDatagrams(!fromPod, otherPort);
        first.SendTo(new byte[100], other.LocalEndPoint!);
        other.SendTo(new byte[300], first.LocalEndPoint!);
        await life.SettleAsync();
        other.SendTo(new byte[500], first.LocalEndPoint!);
        await life.SettleAsync();
        first.SendTo(new byte[100], other.LocalEndPoint!);

        var records = await life.EndAsync("udp", first.LocalEndPoint!, other.LocalEndPoint!);

        AssertOne(records, state: null, endReason: null, observer: fromPod ? "source" : "destination", orientation: "first");
        Assert.InRange(records.Count, 3, 4);
    }

    [Fact]
    public async Task An_echo_and_its_replies_are_one_flow()
    {
        using var life = lives.Watch(Pod);
        Pod.Namespace.Exec("ping", "-q", "-c", "3", "-i", "0.01", "-s", "200", Pod.HostAddress.ToString());
        await life.SettleAsync();

        var records = life.Records.Where(record => record.Text("network.transport") == "icmp").ToList();

        AssertOne(records, state: null, endReason: null, orientation: "first");
        Assert.Equal((3, 3 * 242, 3, 3 * 242), (Sum("source.packets"), Sum("source.bytes"), Sum("destination.packets"), Sum("destination.bytes")));
        Assert.All(records, record => Assert.Equal(
            (Pod.Address.ToString(), Pod.HostAddress.ToString(), "8", "0", null), (record.Text("source.ip"), record.Text("destination.ip"), record.Text("icmp.type"), record.Text("icmp.code"), record.Text("source.port"))));
        Assert.All(records, record => Assert.StartsWith("1:", record.Text("network.community_id"), StringComparison.Ordinal));

        long Sum(string path) => records.Sum(record => record.Number(path));
    }

    [Fact]
    public async Task An_ICMP_error_is_a_flow_of_its_own()
    {
        using var life = lives.Watch(Pod);
        using var socket = OpenDatagrams(inPod: true, 41_009);
        var closed = new IPEndPoint(Pod.HostAddress, 9);
        socket.SendTo(new byte[100], closed);

        var datagrams = await life.EndAsync("udp", socket.LocalEndPoint!, closed);

        Assert.Equal((1, 0), (datagrams.Sum(record => record.Number("source.packets")), datagrams.Sum(record => record.Number("destination.packets"))));
        var error = Assert.Single(life.Records, record => record.Text("network.transport") == "icmp" && record.Text("icmp.type") == "3");
        Assert.Equal(
            (Pod.HostAddress.ToString(), Pod.Address.ToString(), "destination", "3", 1, 0),
            (error.Text("source.ip"), error.Text("destination.ip"), error.Text("flow.observer"), error.Text("icmp.code"), error.Number("source.packets"), error.Number("destination.packets")));
    }

    /// <summary>Their loopback interfaces are no pod's interface: the two connections, whose tuples are the same, must not be seen.</summary>
    [Fact]
    public async Task Loopback_traffic_of_two_pods_with_one_tuple_is_in_no_record()
    {
        foreach (var pod in (Pod[])[lives.One, lives.Other])
        {
            using var listener = pod.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 19_010));
            listener.Listen();
            using var connection = Connection.Open(pod, new(IPAddress.Loopback, 19_011), listener, IPAddress.Loopback);
            connection.Send(1000);
        }
        await lives.Node.SettleAsync();

        Assert.DoesNotContain(lives.Node.Records.Flows, record => record.Number("source.port") == 19_011 || record.Number("destination.port") == 19_011);
        Assert.DoesNotContain(lives.Node.Records.Flows, record => record.Text("source.ip")!.StartsWith("127.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Between_two_pods_of_a_node_both_observers_have_the_same_counts()
    {
        using var first = lives.Watch(lives.One);
        using var second = lives.Watch(lives.Other);
        using var listener = lives.Other.Listen();
        using var connection = Connection.Open(lives.One, new(lives.One.Address, 0), listener, lives.Other.Address);
        connection.Send(1 << 20);
        await first.SettleAsync();
        connection.Answer(1 << 18);
        connection.Client.Close();
        connection.Server.Close();

        var source = await first.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);
        var destination = await second.EndAsync("tcp", connection.ClientEnd, connection.ServerEnd);

        AssertOne(source, "closed", "fin");
        AssertOne(destination, "closed", "fin", observer: "destination");
        Assert.All(
            ["source.packets", "source.bytes", "source.segments", "destination.packets", "destination.bytes", "destination.segments"],
            path => Assert.Equal(source.Sum(record => record.Number(path)), destination.Sum(record => record.Number(path))));
        Assert.Single(source.Concat(destination).Select(record => record.Text("network.community_id")).Distinct());
        Assert.Empty(source.Select(record => record.Id).Intersect(destination.Select(record => record.Id)));
        Assert.All(source.Concat(destination), record => Assert.Equal(
            (lives.One.Name, lives.Other.Name, null, null),
            (record.Text("source.k8s.pod.name"), record.Text("destination.k8s.pod.name"), record.Text("source.class"), record.Text("destination.class"))));
    }

    /// <summary>Both families, both ends as the client, both ends as the one that ends it, with a FIN or a reset; PODNET_FUZZ_SEED repeats a failed run.</summary>
    [Fact]
    public async Task Of_500_known_connections_each_has_its_tuple_sizes_flags_role_times_and_end()
    {
        var seed = FuzzSeed.Choose();
        var random = new Random(seed);
        using var life = lives.Watch(Pod);
        Dictionary<string, (Connection Made, DateTimeOffset Before, DateTimeOffset After)> known = [];
        for (var number = 0; number < 500; number++)
        {
            var before = DateTimeOffset.UtcNow;
            using var connection = Connection.Open(Pod, random.Next(2) == 0 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6, random.Next(2) == 0, 20_000 + number);
            known.Add(FlowLife.TupleOf("tcp", connection.ClientEnd, connection.ServerEnd), (connection, before, DateTimeOffset.UtcNow));
            connection.Send(random.Next(1, 100_000));
            connection.Answer(random.Next(1, 100_000));
            var (first, second) = random.Next(2) == 0 ? (connection.Client, connection.Server) : (connection.Server, connection.Client);
            (random.Next(3) == 0 ? first.WithReset() : first).Close();
            second.Close();
        }
        await life.SettleAsync();
        var packets = life.Stop().ToLookup(packet => string.CompareOrdinal(packet.From.ToString(), packet.To.ToString()) < 0 ? (packet.From, packet.To) : (packet.To, packet.From));
        var records = life.Records.Where(record => record.Text("network.transport") == "tcp" && Enumerable.Range(20_000, 500).Contains((int)record.Number("source.port"))).GroupBy(record => record.Tuple).ToList();

        Assert.True(known.Keys.Order().SequenceEqual(records.Select(group => group.Key).Order()), $"seed {seed}: {string.Join('\n', known.Keys.Except(records.Select(group => group.Key)))}");
        foreach (var group in records)
        {
            var (made, before, after) = known[group.Key];
            var own = packets.Single(captured => captured.Key.Equals((made.ClientEnd, made.ServerEnd)) || captured.Key.Equals((made.ServerEnd, made.ClientEnd))).ToList();
            FlowLife.AssertEqual(own, made.ClientEnd, made.ServerEnd, [.. group]);
            AssertOne([.. group], "closed", own.Any(packet => packet.Has(Rst)) ? "reset" : "fin", made.IsFromPod ? "source" : "destination");
            Assert.InRange(group.First().Time("flow.start")!.Value, before - FlowLife.Resolution, after + FlowLife.Resolution);
            Assert.Equal(own.Count(packet => packet.Has(Syn)), group.Sum(record => record.Number("tcp.syn.count")));
            Assert.Contains(own, packet => packet.Has(Fin | Rst));
        }
    }

    /// <summary>The records of one connection: one beginning, one end at most, and all else the same in each.</summary>
    private static void AssertOne(IReadOnlyList<FlowLine> records, string? state, string? endReason, string observer = "source", string orientation = "syn")
    {
        Assert.Equal([1L, .. Enumerable.Repeat(0L, records.Count - 1)], records.Select(record => record.Connections));
        Assert.Equal(state, records[^1].State);
        Assert.Equal(endReason is null ? [] : [endReason], records.Select(record => record.EndReason).OfType<string>());
        Assert.Equal([observer], records.Select(record => record.Text("flow.observer")).Distinct());
        Assert.Equal([orientation], records.Select(record => record.Text("flow.orientation")).Distinct());
        Assert.Equal([records[0].Text("event.start")], records.Select(record => record.Text("flow.start")).Distinct());
    }

    private Socket OpenDatagrams(bool inPod, int port)
    {
        var socket = inPod ? Pod.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) : new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(inPod ? Pod.Address : Pod.HostAddress, port));
        return socket;
    }
}
