using Exporter.Health;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

public sealed class LoopHealthTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly LoopHealth _health;

    public LoopHealthTests() => _health = new(_time);

    [Fact]
    public void Before_the_first_beat_nothing_is_stuck() => Assert.Empty(_health.Stuck());

    [Fact]
    public void A_loop_is_stuck_when_its_time_is_over_and_not_before()
    {
        _health.Beat("drain", TimeSpan.FromSeconds(5));

        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Empty(_health.Stuck());

        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Equal(["drain"], _health.Stuck());
    }

    [Fact]
    public void A_loop_that_turns_again_is_not_stuck_any_more()
    {
        _health.Beat("drain", TimeSpan.FromSeconds(5));
        _time.Advance(TimeSpan.FromSeconds(6));

        _health.Beat("drain", TimeSpan.FromSeconds(5));

        Assert.Empty(_health.Stuck());
    }

    [Fact]
    public void The_last_beat_says_how_long_the_next_may_take()
    {
        _health.Beat("drain", TimeSpan.FromSeconds(5));
        _health.Beat("drain", TimeSpan.FromSeconds(60));

        _time.Advance(TimeSpan.FromSeconds(30));

        Assert.Empty(_health.Stuck());
    }

    [Fact]
    public void A_loop_that_has_ended_is_not_late()
    {
        _health.Beat("uplinks", TimeSpan.FromSeconds(5));
        _health.End("uplinks");

        _time.Advance(TimeSpan.FromSeconds(60));

        Assert.Empty(_health.Stuck());
    }

    [Fact]
    public void Only_loops_that_are_overdue_are_named_in_order()
    {
        _health.Beat("reconcile", TimeSpan.FromSeconds(1));
        _health.Beat("drain", TimeSpan.FromSeconds(60));
        _health.Beat("links", TimeSpan.FromSeconds(1));

        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(["links", "reconcile"], _health.Stuck());
    }
}
