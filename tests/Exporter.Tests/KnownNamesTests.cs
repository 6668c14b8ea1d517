using Exporter.Bpf;
using Exporter.Health;
using Exporter.Pods;
using Exporter.Signals;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;

namespace Exporter.Tests;

/// <summary>The first drain of a session waits for the names that its records have for good.</summary>
public sealed class KnownNamesTests : IDisposable
{
    private readonly CountingNode _node = new();
    private readonly PausingClock _clock = new();
    private readonly RecordingLogger<KnownNames> _logger = new();
    private readonly LoopHealth _health;
    private readonly WaitingDrain _drain;
    private readonly DrainLoop _loop;
    private volatile bool _areKnown;

    public KnownNamesTests()
    {
        _health = new(_clock);
        _drain = new(new(() => _areKnown, _clock, _logger));
        _loop = new("drain_flows", [_drain], [], _node.Pods, new(_node.Factory, [WaitingDrain.Row]), _health, _clock, new RecordingLogger<DrainLoop>());
    }

    public void Dispose()
    {
        _loop.Dispose();
        _node.Dispose();
    }

    [Fact]
    public async Task Known_names_are_not_waited_for()
    {
        _areKnown = true;
        await _loop.StartAsync(CancellationToken.None);

        await _drain.FirstAsync();
        Assert.False(_clock.TryTakePause(out _));
        await _loop.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task The_first_drain_comes_as_soon_as_they_are_known()
    {
        await _loop.StartAsync(CancellationToken.None);
        for (var look = 0; look < 5; look++)
        {
            _clock.Advance(await _clock.NextPauseAsync());
        }
        var pause = await _clock.NextPauseAsync();
        Assert.Equal(0, _drain.Drains);

        _areKnown = true;
        _clock.Advance(pause);

        await _drain.FirstAsync();
        Assert.Empty(_logger.Entries);
        Assert.Empty(_health.Stuck());
        await _loop.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Names_that_stay_unknown_are_not_waited_for_longer_and_the_log_says_so()
    {
        await _loop.StartAsync(CancellationToken.None);
        var waited = TimeSpan.Zero;
        while (waited < KnownNames.Longest)
        {
            Assert.Equal(0, _drain.Drains);
            var pause = await _clock.NextPauseAsync();
            waited += pause;
            _clock.Advance(pause);
        }

        await _drain.FirstAsync();
        Assert.Equal(LogLevel.Warning, Assert.Single(_logger.Entries).Level);
        Assert.Empty(_health.Stuck());
        await _loop.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task The_end_comes_while_they_are_waited_for_and_drains_once()
    {
        await _loop.StartAsync(CancellationToken.None);
        await _clock.NextPauseAsync();

        await _loop.StopAsync(CancellationToken.None);

        Assert.Equal(1, _drain.Drains);
        Assert.True(_loop.ExecuteTask?.IsFaulted == false);
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Empty(_health.Stuck());
    }

    [Fact]
    public async Task A_drain_that_may_last_is_not_in_the_duration_of_reading_counters()
    {
        _areKnown = true;
        await _loop.StartAsync(CancellationToken.None);
        await _drain.FirstAsync();

        await _loop.StopAsync(CancellationToken.None);

        Assert.Equal(0, (await _node.ScrapeAsync())["podnet_exporter_drain_duration_seconds_count"]);
    }

    [Fact]
    public async Task Other_loops_drain_meanwhile()
    {
        using var other = new DrainLoop("drain", [_node.Traffic], [], _node.Pods, _node.Drains, _health, _node.Time, new RecordingLogger<DrainLoop>());
        await _loop.StartAsync(CancellationToken.None);
        await _clock.NextPauseAsync();
        await other.StartAsync(CancellationToken.None);

        await _node.Source.NextDrainAsync();
        Assert.Equal(0, _drain.Drains);
        await other.StopAsync(CancellationToken.None);
        await _loop.StopAsync(CancellationToken.None);
    }

    private sealed class WaitingDrain(KnownNames names) : SignalDrain(Row)
    {
        private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _drains;

        internal static RowFields Row { get; } = new("waiting", ["count"]);

        internal int Drains => Volatile.Read(ref _drains);

        internal override TimeSpan Interval => TimeSpan.FromMinutes(1);

        internal override bool HasOwnLoop => true;

        internal override Task WaitToBeginAsync(CancellationToken cancelled) => names.WaitAsync(cancelled);

        internal override void Restore(IReadOnlyList<PodInterface> restored)
        {
        }

        internal override void EndPrevious()
        {
        }

        /// <summary>The first drain has begun.</summary>
        internal Task FirstAsync() => _drained.Task.WaitAsync(Silence.Limit);

        private protected override void DrainRows()
        {
            Interlocked.Increment(ref _drains);
            _drained.TrySetResult();
        }

        private protected override void ReleaseKept()
        {
        }
    }
}
