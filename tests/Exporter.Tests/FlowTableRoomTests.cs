using Exporter.Signals.Flows;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>A flow table without room: connections are counted once all the same, and flows that are over give room first.</summary>
public sealed class FlowTableRoomTests
{
    private static readonly FlowKey OtherTcp = FlowMap.KeyOf(6, 40_000, 50_051);

    private static readonly FlowKey OtherUdp = FlowMap.KeyOf(17, 40_000, 50_051);

    public static TheoryData<bool> Restarts => [false, true];

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_without_room_is_counted_by_its_SYN_alone(bool restarts)
    {
        using var life = new FlowLife(restarts, room: 2);
        Fill(life, at: 1);
        life.Key = OtherTcp;
        Assert.Equal(1u, SightOf(life.Handshake(1), OtherTcp, 10).Connections);

        for (var at = 11; at < 200; at += 10)
        {
            Fill(life, at);
            Assert.Equal((0u, null), SightOf(life.With(OtherTcp).Pod(at, "PA").Peer(at, "A"), OtherTcp, at + 9) is var sight ? (sight.Connections, sight.Start) : default);
        }
        Assert.Equal(1u, SightOf(life.With(OtherTcp).Handshake(201, seq: 2), OtherTcp, 210).Connections);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_conversation_without_room_is_counted_once(bool restarts)
    {
        using var life = new FlowLife(restarts, room: 2);
        Fill(life, at: 1);
        Assert.Equal((1u, FlowMap.TimeOf(2)), SightOf(life.With(OtherUdp).Pod(2).Peer(3), OtherUdp, 10) is var first ? (first.Connections, first.Start) : default);

        for (var at = 11; at < 200; at += 10)
        {
            Fill(life, at);
            Assert.Equal((0u, null), SightOf(life.With(OtherUdp).Pod(at).Peer(at), OtherUdp, at + 9) is var sight ? (sight.Connections, sight.Start) : default);
        }
    }

    /// <summary>That it had none before does not make it new.</summary>
    [Theory]
    [InlineData(false, true)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(true, false)]
    public void A_flow_that_gets_room_later_has_not_begun_then(bool restarts, bool isTcp)
    {
        var key = isTcp ? OtherTcp : OtherUdp;
        using var life = new FlowLife(restarts, room: 2);
        Fill(life, at: 1);
        Assert.Equal(1u, SightOf(isTcp ? life.With(key).Handshake(1) : life.With(key).Pod(1), key, 10).Connections);

        for (var at = 11; at < 140; at += 10)
        {
            Assert.Equal(0u, life.With(key).Pod(at, isTcp ? "PA" : "").Peer(at, isTcp ? "A" : "").Read(at + 9).Connections);
        }
        Assert.Equal(1, life.Table.Count);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void When_there_was_room_for_long_enough_silence_is_known_again(bool restarts)
    {
        using var life = new FlowLife(restarts, room: 2);
        Fill(life, at: 1);
        life.With(OtherUdp).Pod(1).Read(10);
        life.Read(75);

        Assert.Equal(1u, life.With(OtherUdp).Pod(80).Read(85).Connections);
        Assert.Equal(1u, life.With(OtherTcp).Pod(86, "PA").Read(90).Connections);
    }

    /// <summary>An ingress pod: the client's port is the higher one, and a gRPC server's port is higher still.</summary>
    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_that_opens_in_a_flood_of_short_ones_is_remembered(bool restarts)
    {
        using var life = new FlowLife(restarts, room: 400);
        ushort port = 1000;
        for (var at = 0; at < 120; at += 10)
        {
            for (var i = 0; i < 100; i++, port++)
            {
                life.Key = FlowMap.KeyOf(6, port, 443);
                life.Handshake(at + 5).Pod(at + 5, "FA").Peer(at + 5, "FA");
            }
            life.Key = OtherTcp;
            var sight = SightOf(at == 60 ? life.Handshake(65, seq: 9) : at > 60 ? life.Pod(at + 2, "PA").Peer(at + 2, "A") : life, OtherTcp, at + 10);
            if (at >= 60)
            {
                Assert.Equal((at == 60 ? 1u : 0, true, FlowMap.TimeOf(65)), (sight.Connections, sight.IsLocalSource, sight.Start));
            }
        }
        Assert.Equal(0, life.Table.Forgotten);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_conversation_that_begins_in_a_flood_of_queries_is_remembered(bool restarts)
    {
        using var life = new FlowLife(restarts, room: 400);
        ushort port = 1000;
        for (var at = 0; at < 120; at += 10)
        {
            for (var i = 0; i < 100; i++, port++)
            {
                life.Key = FlowMap.KeyOf(17, port, 53);
                life.Pod(at + 5).Peer(at + 5);
            }
            life.Key = OtherUdp;
            var sight = SightOf(at >= 60 ? life.Peer(at + 2) : life, OtherUdp, at + 10);
            if (at >= 60)
            {
                Assert.Equal((at == 60 ? 1u : 0, false, FlowMap.TimeOf(62)), (sight.Connections, sight.IsLocalSource, sight.Start));
            }
        }
        Assert.Equal(0, life.Table.Forgotten);
    }

    /// <summary>With the default options: 300 a second for two minutes, each of which would have its slot for a minute and more.</summary>
    [Theory]
    [InlineData(6, 443, 4)]
    [InlineData(17, 53, 4)]
    [InlineData(17, 53, 30)]
    public void A_pod_with_many_short_flows_has_room_for_all(byte protocol, ushort remotePort, int interfaces)
    {
        var options = new FlowOptions(IsOn: true, TimeSpan.FromSeconds(10), MaxFlows: 32_768, MaxFlowsPerPod: 25, Sampling: 1);
        using var life = new FlowLife(restarts: false, room: 2 * options.MaxFlows, new(options, maxInterfaces: 1024) { Interfaces = interfaces });
        ushort port = 1;
        for (var at = 0; at < 120; at += 10)
        {
            for (var i = 0; i < 3000; i++, port++)
            {
                life.Key = FlowMap.KeyOf(protocol, port, remotePort);
                _ = protocol == 6 ? life.Handshake(at + (i / 300.0), seq: (uint)at).Pod(at + (i / 300.0), "FA").Peer(at + (i / 300.0), "FA") : life.Pod(at + (i / 300.0)).Peer(at + (i / 300.0));
            }
            life.Read(at + 10);
        }
        Assert.Equal(0, life.Table.Forgotten);
    }

    /// <summary>Where there is room, a packet after the end is of the connection that has ended.</summary>
    [Theory]
    [MemberData(nameof(Restarts))]
    public void Flows_that_are_over_are_remembered_where_there_is_room(bool restarts)
    {
        using var life = new FlowLife(restarts, room: 400);
        life.Handshake(1).Pod(2, "FA").Peer(2, "FA").Read(10);
        life.Read(20);

        Assert.Equal((0u, FlowMap.TimeOf(1)), life.Peer(50, "A").Read(55) is var sight ? (sight.Connections, sight.Start) : default);
    }

    /// <summary>Fills a table for two with conversations that go on.</summary>
    private static void Fill(FlowLife life, double at)
    {
        for (ushort port = 1; port <= 2; port++)
        {
            life.Key = FlowMap.KeyOf(17, port, 53);
            life.Pod(at).Peer(at + 0.5);
        }
    }

    private static FlowSight SightOf(FlowLife life, FlowKey key, double at)
    {
        life.Read(at);
        return life.Seen.GetValueOrDefault(key);
    }
}
