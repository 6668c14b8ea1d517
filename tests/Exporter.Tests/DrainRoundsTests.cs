using Exporter.Bpf;
using Exporter.Pods;
using Exporter.Signals;

namespace Exporter.Tests;

/// <summary>Drains that the reconciler has done, since an interface's index is wanted for another one.</summary>
public sealed class DrainRoundsTests
{
    private readonly PatientDrain _drain = new();
    private readonly DrainRounds _rounds;

    public DrainRoundsTests() => _rounds = new([_drain]);

    [Fact]
    public void A_drain_of_a_loop_may_wait_for_others() => Assert.True(DrainAndSeeWhetherItWaits());

    [Fact]
    public void A_drain_that_an_interface_waits_for_waits_for_nothing_else()
    {
        Assert.True(_rounds.TryDrainAfter(_rounds.Now));

        Assert.False(_drain.MayWait);
    }

    [Fact]
    public void The_next_drain_may_wait_again()
    {
        _rounds.TryDrainAfter(_rounds.Now);

        Assert.True(DrainAndSeeWhetherItWaits());
    }

    [Fact]
    public void A_drain_that_failed_is_resumed_without_waiting_and_the_next_one_may_wait_again()
    {
        _drain.Fails = true;
        Assert.False(_rounds.TryDrainAfter(_rounds.Now));
        _drain.Fails = false;

        Assert.True(_rounds.TryDrainAfter(_rounds.Now));

        Assert.False(_drain.MayWait);
        Assert.True(DrainAndSeeWhetherItWaits());
    }

    [Fact]
    public void Interfaces_that_wait_since_the_same_moment_need_one_drain()
    {
        var mark = _rounds.Now;

        Assert.True(_rounds.TryDrainAfter(mark));
        Assert.True(_rounds.TryDrainAfter(mark));

        Assert.Equal(1, _drain.Completed);
    }

    private bool DrainAndSeeWhetherItWaits()
    {
        _drain.Drain();
        return _drain.MayWait;
    }

    /// <summary>A drain that waits for sinks, where it may.</summary>
    private sealed class PatientDrain() : SignalDrain(new("patient", ["count"]))
    {
        internal bool Fails { get; set; }

        internal bool MayWait { get; private set; }

        internal override TimeSpan Interval => TimeSpan.FromMinutes(1);

        internal override bool IsByInterface => true;

        internal override void Restore(IReadOnlyList<PodInterface> restored)
        {
        }

        internal override void EndPrevious()
        {
        }

        private protected override void DrainRows()
        {
            MayWait = !IsAwaited;
            if (Fails)
            {
                throw new BpfException("drain the map", 12);
            }
        }

        private protected override void ReleaseKept()
        {
        }
    }
}
