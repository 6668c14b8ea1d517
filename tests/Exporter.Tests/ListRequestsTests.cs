using Exporter.Health;
using Exporter.Kubernetes;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

/// <summary>When a list beside the watch is due.</summary>
public sealed class ListRequestsTests
{
    private readonly SetClock _clock = new();
    private readonly ChangeSignal _requested = new();
    private readonly ListRequests _requests;

    public ListRequestsTests() => _requests = new("a test", _requested, static () => false, _clock);

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task After_a_list_the_next_one_waits_ten_seconds_by_whatever_the_clock_is_set(int hours)
    {
        _requests.Complete(_clock.GetTimestamp());
        _clock.SetBy = TimeSpan.FromHours(hours);
        _requested.Set();

        await AssertDueAsync(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(12));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task After_a_failure_it_is_due_in_half_a_minute_to_one_by_whatever_the_clock_is_set(int hours)
    {
        _requested.Set();
        await AssertDueAsync(TimeSpan.Zero, TimeSpan.FromSeconds(2));
        _requests.Postpone(null);
        _clock.SetBy = TimeSpan.FromHours(hours);

        await AssertDueAsync(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(62));
    }

    private async Task AssertDueAsync(TimeSpan least, TimeSpan most)
    {
        var waiting = _requests.WaitAsync(CancellationToken.None);
        _clock.Advance(least);
        Assert.False(_requests.IsDue);
        _clock.Advance(most - least);
        await waiting.WaitAsync(Silence.Limit);
        Assert.True(_requests.IsDue);
    }

    /// <summary>Its time of day is set, and its timers and stamps are not.</summary>
    private sealed class SetClock : FakeTimeProvider
    {
        internal TimeSpan SetBy { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + SetBy;

        public override long GetTimestamp() => base.GetUtcNow().Ticks;
    }
}
