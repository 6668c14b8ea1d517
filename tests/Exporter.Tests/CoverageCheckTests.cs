using System.Collections.Immutable;
using Exporter.Interfaces;
using Exporter.Pods;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>One interface's own counters are from the interface's point of view: what it receives, its pod transmits.</summary>
public sealed class CoverageCheckTests
{
    private const int Ifindex = 7;

    private readonly CoverageCheck _check = new();
    private PodInterface _interface = CountingNode.NewInterface(Ifindex, generation: 1);
    private ulong _received;
    private ulong _transmitted;

    [Fact]
    public void Packets_that_are_missed_in_two_rounds_in_a_row_are_told()
    {
        Assert.False(Round(received: 10));
        Assert.False(Round(received: 10));
        Assert.True(Round(received: 10));
        Assert.True(Round(received: 10));
    }

    [Fact]
    public void What_was_before_the_first_round_is_not_missed()
    {
        _received = _transmitted = 1_000_000;

        Assert.False(Round());
        Assert.False(Round());
        Assert.False(Round());
    }

    [Fact]
    public void One_missed_round_alone_is_not_told()
    {
        Round();
        Assert.False(Round(received: 10));
        Assert.False(Round(counted: (10, 0)));
        Assert.False(Round(received: 10));
        Assert.False(Round(received: 10, counted: (20, 0)));
    }

    [Fact]
    public void The_transmit_direction_is_told_although_the_other_is_counted()
    {
        Round();
        Round(received: 10, transmitted: 10, counted: (0, 10));

        Assert.True(Round(received: 10, transmitted: 10, counted: (0, 10)));
    }

    [Fact]
    public void The_receive_direction_is_told_although_the_other_is_counted()
    {
        Round();
        Round(received: 10, transmitted: 10, counted: (10, 0));

        Assert.True(Round(received: 10, transmitted: 10, counted: (10, 0)));
    }

    [Fact]
    public void The_directions_are_not_confused()
    {
        Round();
        Round(received: 10, counted: (10, 0));
        Assert.False(Round(received: 10, counted: (10, 0)));
        Round(transmitted: 10, counted: (0, 10));
        Assert.False(Round(transmitted: 10, counted: (0, 10)));
    }

    [Fact]
    public void A_covered_interface_is_not_told()
    {
        for (var round = 0; round < 5; round++)
        {
            Assert.False(Round(received: 10, transmitted: 20, counted: (10, 20)));
        }
    }

    [Fact]
    public void An_idle_interface_is_never_told()
    {
        for (var round = 0; round < 5; round++)
        {
            Assert.False(Round());
        }
    }

    [Fact]
    public void An_uncovered_interface_stays_told_while_it_is_idle()
    {
        MissTwoRounds();

        Assert.True(Round());
    }

    [Fact]
    public void An_interface_that_is_counted_again_is_told_no_more()
    {
        MissTwoRounds();

        Assert.False(Round(received: 10, counted: (10, 0)));
        Assert.False(Round(received: 10));
        Assert.True(Round(received: 10));
    }

    [Fact]
    public void A_new_owner_of_the_index_begins_anew()
    {
        MissTwoRounds();
        _interface = CountingNode.NewInterface(Ifindex, generation: 2);

        Assert.False(Round(received: 10));
        Assert.False(Round(received: 10));
        Assert.True(Round(received: 10));
    }

    [Fact]
    public void An_interface_that_was_not_among_the_statistics_begins_anew()
    {
        MissTwoRounds();
        _check.FindUncovered([], Table());

        Assert.False(Round(received: 10));
        Assert.False(Round(received: 10));
    }

    [Fact]
    public void Interfaces_that_are_not_counted_are_not_looked_at()
    {
        for (var round = 0ul; round < 4; round++)
        {
            Assert.Empty(_check.FindUncovered([new(99, round, round, round, round, 0)], Table()));
        }
    }

    [Fact]
    public void Each_interface_is_judged_by_itself()
    {
        var other = CountingNode.NewInterface(8, generation: 2);
        HashSet<int> uncovered = [];
        for (var round = 1ul; round <= 3; round++)
        {
            other.Totals.Add((1, 100), (1, 100));
            uncovered = _check.FindUncovered(
                [new(Ifindex, round, round, 0, 0, 0), new(8, round, round, 0, 0, 0)], Table().Add(8, other));
        }

        Assert.Equal([Ifindex], uncovered);
    }

    private ImmutableDictionary<int, PodInterface> Table() => ImmutableDictionary<int, PodInterface>.Empty.Add(Ifindex, _interface);

    private void MissTwoRounds()
    {
        Round();
        Round(received: 10);
        Assert.True(Round(received: 10));
    }

    /// <summary>Packets since the last round: by the interface, and by the programs. Says whether the interface is uncovered.</summary>
    private bool Round(ulong received = 0, ulong transmitted = 0, (ulong Transmitted, ulong Received) counted = default)
    {
        _received += received;
        _transmitted += transmitted;
        _interface.Totals.Add((counted.Transmitted, 0), (counted.Received, 0));
        return _check.FindUncovered([new(Ifindex, _received, _transmitted, 0, 0, 0)], Table()).Contains(Ifindex);
    }
}
