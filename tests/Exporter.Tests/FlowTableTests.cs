using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The lives of flows over intervals: each as one process sees it, and where another process continues after each interval.</summary>
public sealed class FlowTableTests
{
    public static TheoryData<bool> Restarts => [false, true];

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_that_is_shorter_than_an_interval_has_begun_and_ended_in_it(bool restarts)
    {
        using var life = new FlowLife(restarts);
        var sight = life.Handshake(1).Pod(2, "PA").Pod(3, "FA").Peer(3, "FA").Pod(3, "A").Read(10);

        Assert.Equal(new(true, FlowOrientation.Syn, FlowState.Closed, FlowEndReason.Fin, 1, FlowMap.TimeOf(1), 0), sight);
        life.Read(20);
        life.Read(80);
        Assert.Empty(life.Silent);
        Assert.Equal(0, life.Table.Count);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_of_longer_than_a_day_keeps_its_start_and_its_source(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Peer(1, "S", 1).Pod(1, "SA").Peer(1, "A").Read(10);

        FlowSight sight = default;
        for (var at = 40; at < 100_000; at += 30)
        {
            sight = life.Peer(at, "PA").Pod(at, "A").Read(at + 5);
            Assert.Equal((0u, null), (sight.Connections, sight.EndReason));
        }
        Assert.Equal((false, FlowState.Open, FlowMap.TimeOf(1)), (sight.IsLocalSource, sight.State, sight.Start));
        Assert.Equal(restarts ? FlowOrientation.Remembered : FlowOrientation.Syn, sight.Orientation);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_that_is_half_closed_for_minutes_is_open_until_the_other_end_closes_too(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Pod(2, "FA").Peer(2, "A").Read(10);

        for (var at = 20; at < 300; at += 10)
        {
            Assert.Equal(FlowState.Open, life.Peer(at, "PA").Pod(at, "A").Read(at + 5).State);
        }
        var sight = life.Peer(301, "FA").Pod(301, "A").Read(305);
        Assert.Equal((FlowState.Closed, FlowEndReason.Fin, 0u), (sight.State, sight.EndReason, sight.Connections));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_packet_after_the_FIN_ends_no_second_connection_and_keeps_the_ends(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Pod(2, "FA").Peer(2, "FA").Pod(2, "A").Read(10);

        var sight = life.Peer(11, "A").Read(20);
        Assert.Equal((true, FlowState.Closed, null, 0u), (sight.IsLocalSource, sight.State, sight.EndReason, sight.Connections));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_tuple_that_is_used_again_in_a_later_interval_begins_another_connection(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1, seq: 1).Pod(2, "FA").Peer(2, "FA").Pod(2, "A").Read(10);

        var sight = life.Handshake(11, seq: 2).Read(20);
        Assert.Equal(new(true, FlowOrientation.Syn, FlowState.Open, null, 1, FlowMap.TimeOf(11), 0), sight);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_tuple_that_is_used_again_in_one_interval_has_begun_two_connections(bool restarts)
    {
        using var life = new FlowLife(restarts);
        var sight = life.Handshake(1, seq: 1).Pod(2, "FA").Peer(2, "FA").Pod(2, "A").Handshake(3, seq: 2).Read(10);

        Assert.Equal((2u, FlowState.Open, null), (sight.Connections, sight.State, sight.EndReason));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_that_is_older_than_the_exporter_keeps_the_ends_that_were_guessed_at_first(bool restarts)
    {
        using var life = new FlowLife(restarts) { Key = FlowMap.KeyOf(6, FlowLife.Low, FlowLife.High), CountedSince = 0 };
        var first = life.Peer(1, "PA").Pod(1, "A").Read(10);
        Assert.Equal((false, FlowOrientation.Port, 0u, null), (first.IsLocalSource, first.Orientation, first.Connections, first.Start));

        // A Service that becomes known does not turn the ends of a flow that goes on.
        life.Guess = _ => (true, FlowOrientation.Service);
        var second = life.Peer(11, "PA").Pod(11, "A").Read(20);
        Assert.Equal((false, restarts ? FlowOrientation.Remembered : FlowOrientation.Port), (second.IsLocalSource, second.Orientation));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void An_answer_to_a_SYN_that_was_not_seen_shows_who_began(bool restarts)
    {
        using var life = new FlowLife(restarts) { Key = FlowMap.KeyOf(6, FlowLife.High, FlowLife.Low), CountedSince = 0 };

        var sight = life.Pod(1, "SA").Peer(1, "A").Read(10);
        Assert.Equal((false, FlowOrientation.Syn), (sight.IsLocalSource, sight.Orientation));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_flow_that_is_idle_past_the_timeout_ends_and_begins_again_when_it_is_back(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Read(10);

        life.Read(50);
        Assert.Empty(life.Silent);
        life.Read(61);
        Assert.Equal((FlowState.Open, FlowEndReason.Idle, 0u), Assert.Single(life.Silent) is var silent ? (silent.State, silent.EndReason, silent.Connections) : default);
        Assert.Equal(0, life.Table.Count);

        var back = life.Pod(70, "PA").Peer(70, "A").Read(71);
        Assert.Equal((1u, FlowState.Open, FlowOrientation.Port), (back.Connections, back.State, back.Orientation));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void The_next_process_knows_how_many_silent_flows_had_a_record(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Read(10);
        life.Restart();
        Assert.Equal(0, life.Table.CountSilent(life.Interval));

        life.Read(61);
        life.Restart();
        Assert.Equal(1, life.Table.CountSilent(life.Interval));

        life.Read(70);
        Assert.Equal(0, life.Table.CountSilent(life.Interval));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void UDP_with_both_ports_high_has_the_first_sender_as_its_source_for_its_whole_life(bool restarts)
    {
        using var life = new FlowLife(restarts) { Key = FlowLife.Udp };
        var first = life.Peer(1).Pod(2).Read(10);
        Assert.Equal(new(false, FlowOrientation.First, null, null, 1, FlowMap.TimeOf(1), null), first);

        var second = life.Pod(11).Peer(12).Read(20);
        Assert.Equal(first with { Connections = 0, Orientation = restarts ? FlowOrientation.Remembered : FlowOrientation.First }, second);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_SYN_that_is_answered_by_a_reset_is_refused_once(bool restarts)
    {
        using var life = new FlowLife(restarts);
        var sight = life.Pod(1, "S", 1).Peer(1, "RA").Read(10);
        Assert.Equal((FlowState.Refused, FlowEndReason.Reset, 1u), (sight.State, sight.EndReason, sight.Connections));

        life.Read(20);
        life.Read(80);
        Assert.Empty(life.Silent);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_SYN_without_an_answer_is_opening_and_then_unanswered(bool restarts)
    {
        using var life = new FlowLife(restarts);
        Assert.Equal((FlowState.Opening, null), life.Pod(9, "S", 1).Read(10) is var sight ? (sight.State, sight.EndReason) : default);

        life.Read(11);
        Assert.Empty(life.Silent);
        life.Read(20);
        Assert.Equal((FlowState.Unanswered, 0u), Assert.Single(life.Silent) is var silent ? (silent.State, silent.Connections) : default);
        life.Read(30);
        Assert.Empty(life.Silent);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_handshake_that_is_never_ended_is_half_open(bool restarts)
    {
        using var life = new FlowLife(restarts);
        var sight = life.Peer(1, "S", 1).Pod(1, "SA").Pod(2, "SA").Read(10);
        Assert.Equal((FlowState.HalfOpen, false), (sight.State, sight.IsLocalSource));

        Assert.Equal(FlowState.Open, life.Peer(11, "A").Read(20).State);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_that_is_reset_has_ended_once(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Read(10);

        var sight = life.Peer(11, "R").Read(20);
        Assert.Equal((FlowState.Closed, FlowEndReason.Reset, 0u), (sight.State, sight.EndReason, sight.Connections));
        Assert.Null(life.Peer(21, "R").Read(30).EndReason);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void An_index_that_comes_back_with_another_generation_has_other_flows(bool restarts)
    {
        using var life = new FlowLife(restarts) { Key = FlowLife.Udp };
        life.Peer(1).Read(10);

        life.Generation++;
        var sight = life.Pod(11).Read(20);
        Assert.Equal(new(true, FlowOrientation.First, null, null, 1, FlowMap.TimeOf(11), null), sight);
        Assert.Equal(1, life.Table.Count);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void Retransmissions_are_those_of_the_interval(bool restarts)
    {
        using var life = new FlowLife(restarts);
        Assert.Equal(2u, life.Handshake(1).Pod(2, "PA", retransmits: 2).Read(10).Retransmits);
        Assert.Null(life.Peer(11, "PA").Read(20).Retransmits);
        Assert.Equal(3u, life.Pod(21, "PA", retransmits: 5).Read(30).Retransmits);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void Flows_that_have_no_room_are_counted_and_idle_ones_give_room(bool restarts)
    {
        using var life = new FlowLife(restarts, room: 2);
        for (ushort port = 1; port <= 3; port++)
        {
            life.Key = FlowMap.KeyOf(17, port, 53);
            life.Pod(1);
        }
        life.Read(10);
        Assert.Equal((2, 1), (life.Table.Count, life.Table.Forgotten));

        life.Read(70);
        Assert.Equal(0, life.Table.Count);
        life.Pod(71).Read(80);
        Assert.Equal(1, life.Table.Count);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_flow_whose_other_end_sends_before_the_timeout_is_not_idle(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Read(10);

        var sight = life.Peer(58, "PA").Pod(62, "A").Read(65);
        Assert.Equal((0u, FlowMap.TimeOf(1)), (sight.Connections, sight.Start));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_SYN_that_is_sent_again_in_later_intervals_begins_one_connection(bool restarts)
    {
        using var life = new FlowLife(restarts);
        Assert.Equal(1u, life.Pod(1, "S", 1).Pod(2, "S", 1).Read(10).Connections);

        var again = life.Pod(16, "S", 1).Read(20);
        Assert.Equal((0u, FlowState.Unanswered, FlowMap.TimeOf(1)), (again.Connections, again.State, again.Start));
        var answered = life.Pod(32, "S", 1).Peer(32, "SA").Pod(32, "A").Read(40);
        Assert.Equal((0u, FlowState.Open, FlowMap.TimeOf(1)), (answered.Connections, answered.State, answered.Start));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_SYN_that_comes_late_takes_nothing_from_its_connection(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1, seq: 1).Pod(2, "FA").Read(10);

        // Behind the FIN that answers, a copy of the SYN that was under way for long.
        var sight = life.Peer(11, "FA").Pod(11, "A").Pod(12, "S", 1).Read(20);
        Assert.Equal((0u, FlowState.Closed, FlowEndReason.Fin, FlowMap.TimeOf(1)), (sight.Connections, sight.State, sight.EndReason, sight.Start));
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_that_is_back_after_the_timeout_has_not_its_whole_retransmissions_again(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Pod(2, "PA", retransmits: 7).Read(10);
        life.Read(70);

        Assert.Null(life.Pod(71, "PA", retransmits: 9).Read(80).Retransmits);
        Assert.Equal(1u, life.Pod(81, "PA", retransmits: 10).Read(90).Retransmits);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_tuple_that_is_used_again_does_not_get_the_start_and_the_retransmissions_of_the_connection_before(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1, seq: 1).Pod(2, "PA", retransmits: 4).Read(10);

        // The socket was last read with the FIN of the one before.
        var used = life.Pod(11, "FA", retransmits: 6).Peer(11, "FA").Pod(18, "S", 2).Read(20);
        Assert.Equal((1u, FlowState.Opening, null, null), (used.Connections, used.State, used.Start, used.Retransmits));
        var later = life.Peer(21, "SA").Pod(21, "A", retransmits: 1).Read(30);
        Assert.Equal((FlowState.Open, 1u), (later.State, later.Retransmits));
    }

    /// <summary>As nginx closes a connection that was idle for 75 s.</summary>
    [Theory]
    [InlineData(false, "FA", "FA")]
    [InlineData(true, "FA", "FA")]
    [InlineData(false, "FA", "A")]
    [InlineData(false, "A", "A")]
    [InlineData(false, "R", "")]
    [InlineData(false, "FA", "R")]
    public void A_connection_that_was_idle_past_the_timeout_is_not_begun_by_its_end(bool restarts, string peer, string pod)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Pod(2, "PA").Peer(2, "PA").Read(10);
        life.Read(70);
        Assert.Equal(FlowEndReason.Idle, Assert.Single(life.Silent).EndReason);

        life.Peer(80, peer);
        var sight = (pod.Length == 0 ? life : life.Pod(80, pod)).Read(90);
        Assert.Equal(0u, sight.Connections);
        Assert.Null(sight.Start);
    }

    [Theory]
    [MemberData(nameof(Restarts))]
    public void A_connection_that_is_back_after_the_timeout_and_closed_at_once_has_begun_again(bool restarts)
    {
        using var life = new FlowLife(restarts);
        life.Handshake(1).Read(10);
        life.Read(70);

        Assert.Equal((1u, FlowState.Closed), life.Pod(80, "PA").Peer(80, "PA").Peer(81, "FA").Pod(81, "FA").Read(90) is var sight ? (sight.Connections, sight.State) : default);
    }
}
