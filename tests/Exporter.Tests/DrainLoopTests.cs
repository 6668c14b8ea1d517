using Exporter.Bpf;
using Exporter.Health;
using Exporter.Metrics;
using Exporter.Signals;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;

namespace Exporter.Tests;

public sealed class DrainLoopTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly CountingNode _node = new(("Drain:Interval", "00:00:10"), ("Metrics:Retention", "00:00:15"));
    private readonly RecordingLogger<DrainLoop> _logger = new();
    private readonly LoopHealth _health;
    private readonly DrainLoop _loop;
    private Func<int> _mapEntries = () => 3;

    public DrainLoopTests()
    {
        _health = new(_node.Time);
        var bpf = new BpfMetrics(_node.Factory, [], [new("traffic", 1024, () => _mapEntries())]);
        _loop = NewLoop([_node.Handshakes, _node.Traffic], bpf.Update);
    }

    public void Dispose()
    {
        _loop.Dispose();
        _node.Dispose();
    }

    [Fact]
    public async Task It_drains_at_once()
    {
        await StartAsync();

        Assert.Equal(1, _node.Source.Drains);
        await StopAsync();
    }

    [Fact]
    public async Task It_drains_at_every_tick_of_the_interval()
    {
        await StartAsync();
        for (var tick = 0; tick < 5; tick++)
        {
            await TickAsync();
        }
        await StopAsync();

        Assert.Equal(1 + 5 + 1, _node.Source.Drains);
    }

    [Fact]
    public async Task It_does_not_drain_before_the_interval_is_over()
    {
        await StartAsync();
        await TickAsync();

        _node.Time.Advance(Interval - TimeSpan.FromTicks(1));
        await StopAsync();

        Assert.Equal(2 + 1, _node.Source.Drains);
    }

    [Fact]
    public async Task A_longer_interval_is_waited_for_in_health()
    {
        await StartAsync();
        _node.Context.Interval = TimeSpan.FromMinutes(5);

        _loop.ApplyInterval();

        _node.Time.Advance(TimeSpan.FromMinutes(5) - TimeSpan.FromTicks(1));
        Assert.Empty(_health.Stuck());
        Assert.Equal(1, _node.Source.Drains);
        _node.Time.Advance(TimeSpan.FromTicks(1));
        await _node.Source.NextDrainAsync();
        await StopAsync();
    }

    [Fact]
    public async Task A_shorter_interval_counts_from_the_change_on()
    {
        await StartAsync();
        _node.Context.Interval = TimeSpan.FromSeconds(2);

        _loop.ApplyInterval();

        _node.Time.Advance(TimeSpan.FromSeconds(2));
        await _node.Source.NextDrainAsync();
        await StopAsync();
    }

    [Fact]
    public async Task A_change_of_other_options_does_not_put_the_next_drain_off()
    {
        await StartAsync();
        _node.Time.Advance(Interval - TimeSpan.FromSeconds(1));

        _loop.ApplyInterval();

        _node.Time.Advance(TimeSpan.FromSeconds(1));
        await _node.Source.NextDrainAsync();
        await StopAsync();
        Assert.Equal(2 + 1, _node.Source.Drains);
    }

    [Fact]
    public async Task The_duration_of_all_drains_of_a_tick_is_observed()
    {
        _node.Source.WhileDraining = () => _node.Time.Advance(TimeSpan.FromMilliseconds(20));
        await StartAsync();
        await StopAsync();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2, scrape["podnet_exporter_drain_duration_seconds_count"]);
        Assert.Equal(0.04, scrape["podnet_exporter_drain_duration_seconds_sum"]);
    }

    [Fact]
    public async Task It_drains_once_more_when_it_stops()
    {
        _node.Appear(7, 1, CountingNode.Web);
        await StartAsync();
        _node.Source.Put(7, Counted.Sent(1, 100));

        await StopAsync();

        Assert.Equal(2, _node.Source.Drains);
        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(1, _logger.CountOf("Stopped; 1 packets with 100 bytes"));
    }

    [Fact]
    public async Task Every_failing_drain_is_counted_and_the_loop_goes_on()
    {
        _node.Source.Fails = true;
        await StartAsync();
        await TickAsync();
        await TickAsync();
        await StopAsync();

        Assert.Equal(4, (await _node.ScrapeAsync()).DrainErrors);
    }

    [Fact]
    public async Task Failing_and_recovering_are_logged_once_each_time_they_begin()
    {
        _node.Source.Fails = true;
        await StartAsync();
        await TickAsync();
        await TickAsync();
        await TickAsync(fails: false);
        await TickAsync(fails: false);
        await TickAsync(fails: true);
        await TickAsync(fails: true);
        await TickAsync(fails: false);
        await StopAsync();

        Assert.Equal(
            ["Draining failed", "Draining works again", "Draining failed", "Draining works again", "Stopped"],
            _logger.Entries.Select(entry => entry.Text.Split(',', ';')[0]));
        Assert.Equal([LogLevel.Error, LogLevel.Information], _logger.Entries.Take(2).Select(entry => entry.Level));
        Assert.Contains("Cannot drain the map", _logger.Entries[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_loop_that_never_fails_says_nothing_until_it_stops()
    {
        await StartAsync();
        await TickAsync();
        await StopAsync();

        Assert.StartsWith("Stopped; 0 packets", Assert.Single(_logger.Entries).Text, StringComparison.Ordinal);
        Assert.Equal(0, (await _node.ScrapeAsync()).DrainErrors);
    }

    [Fact]
    public async Task The_number_of_series_is_published()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Join(8, CountingNode.Web);
        _node.Source.Put(7, Counted.Sent(1, 100));
        _node.HandshakeSource.Put(8, Counted.Handshakes(Counted.Resent(1)));
        await StartAsync();
        await StopAsync();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(scrape.CountPodSamples(), scrape["podnet_exporter_series"]);
        Assert.NotEqual(0, scrape["podnet_exporter_series"]);
    }

    [Fact]
    public async Task Pods_expire_even_while_drains_fail()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Forget(7);
        _node.Source.Fails = true;
        await StartAsync();
        Assert.NotEqual(0, (await _node.ScrapeAsync()).CountPodSamples());
        await TickAsync();
        await TickAsync();
        await StopAsync();

        Assert.Equal(0, (await _node.ScrapeAsync()).CountPodSamples());
    }

    [Fact]
    public async Task A_loop_that_hangs_is_stuck_and_one_that_has_ended_is_not()
    {
        await StartAsync();
        using var answered = new ManualResetEventSlim();
        using var asked = new SemaphoreSlim(0);
        _node.Source.WhileDraining = () =>
        {
            asked.Release();
            answered.Wait();
        };
        var tick = Task.Run(() => _node.Time.Advance(Interval));
        await asked.WaitAsync();
        Assert.Empty(_health.Stuck());
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(["drain"], _health.Stuck());

        _node.Source.WhileDraining = () => { };
        answered.Set();
        await tick;
        await StopAsync();
        _node.Time.Advance(TimeSpan.FromMinutes(1));

        Assert.Empty(_health.Stuck());
    }

    [Fact]
    public async Task It_drains_handshakes_as_often_as_traffic_and_the_last_ones_when_it_stops()
    {
        _node.Join(7, CountingNode.Web);
        await StartAsync();
        await TickAsync();
        _node.HandshakeSource.Put(7, Counted.Handshakes(Counted.Resent(1)));
        await StopAsync();

        Assert.Equal(3, _node.Source.Drains);
        Assert.Equal(3, _node.HandshakeSource.Drains);
        Assert.Equal(1, (await _node.ScrapeAsync()).Retransmits(CountingNode.Web, "client"));
    }

    /// <summary>Whoever sees that a drain of the traffic is over can rely on the handshakes being with their pod.</summary>
    [Fact]
    public async Task Handshakes_are_with_their_pod_before_the_traffic_is_drained()
    {
        _node.Join(7, CountingNode.Web);
        _node.HandshakeSource.Put(7, Counted.Handshakes(Counted.Resent(1)));
        var before = 0;
        _node.Source.WhileDraining = () => before = _node.HandshakeSource.Drains;

        await StartAsync();
        Assert.Equal(1, before);
        await StopAsync();
        Assert.Equal(2, before);
    }

    [Fact]
    public async Task Traffic_goes_on_while_the_handshakes_cannot_be_drained()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.HandshakeSource.Fails = true;
        await StartAsync();
        _node.Source.Put(7, Counted.Sent(1, 100));
        await TickAsync();
        await StopAsync();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(3, scrape.DrainErrors);
        Assert.Equal(3, scrape["podnet_exporter_drain_duration_seconds_count"]);
        Assert.Equal(1, _logger.CountOf("Draining failed; counters stay in the kernel for the next drain: Cannot drain the map of handshakes"));
    }

    [Fact]
    public async Task Traffic_goes_on_while_the_map_of_handshakes_cannot_be_emptied()
    {
        _node.Join(7, CountingNode.Web);
        _node.HandshakeSource.FailsToClear = true;
        _node.HandshakeSource.Put(7, Counted.Handshakes(Counted.Resent(1)));
        await StartAsync();
        _node.Source.Put(7, Counted.Sent(1, 100));
        await TickAsync();
        await StopAsync();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(1, scrape.Retransmits(CountingNode.Web, "client"));
        Assert.Equal(3, scrape.DrainErrors);
        Assert.Equal(1, _logger.CountOf("Draining failed; counters stay in the kernel for the next drain: Cannot empty the map of handshakes"));
    }

    [Fact]
    public async Task Late_handshakes_that_cannot_be_read_fail_every_drain_from_then_on_and_are_told_once()
    {
        _node.Join(7, CountingNode.Web);
        _node.HandshakeSource.FailsToReadLate = true;
        await StartAsync();
        for (var tick = 0; tick < 3; tick++)
        {
            _node.HandshakeSource.Put(7, Counted.Handshakes(Counted.Resent(1)));
            await TickAsync();
        }
        await StopAsync();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(3, scrape.Retransmits(CountingNode.Web, "client"));
        Assert.Equal(4, scrape.DrainErrors);
        Assert.Equal((1, 0), (_logger.CountOf("Draining failed"), _logger.CountOf("Draining works again")));
    }

    [Fact]
    public async Task Handshakes_go_on_while_the_traffic_cannot_be_drained()
    {
        _node.Join(7, CountingNode.Web);
        _node.Source.Fails = true;
        await StartAsync();
        _node.HandshakeSource.Put(7, Counted.Handshakes(Counted.Resent(1)));
        await TickAsync();
        await StopAsync();

        Assert.Equal(1, (await _node.ScrapeAsync()).Retransmits(CountingNode.Web, "client"));
    }

    [Fact]
    public async Task A_drain_in_which_everything_fails_is_an_error_of_each_signal_and_logged_once()
    {
        _node.Source.Fails = _node.HandshakeSource.Fails = true;
        _mapEntries = () => throw new BpfException("count the map", 12);
        await StartAsync();
        await StopAsync();

        // Of two drains with three parts each.
        Assert.Equal(6, (await _node.ScrapeAsync()).DrainErrors);
        Assert.Equal(1, _logger.CountOf("Draining failed"));
    }

    [Fact]
    public async Task Draining_works_again_only_when_the_handshakes_do()
    {
        _node.Source.Fails = _node.HandshakeSource.Fails = true;
        await StartAsync();
        await TickAsync(fails: false);
        await TickAsync();
        Assert.Equal(0, _logger.CountOf("Draining works again"));

        _node.HandshakeSource.Fails = false;
        await TickAsync();
        await StopAsync();

        Assert.Equal(
            ["Draining failed", "Draining works again", "Stopped"],
            _logger.Entries.Select(entry => entry.Text.Split(',', ';')[0]));
    }

    [Fact]
    public async Task Maps_are_told_after_the_drain_that_read_them()
    {
        var entries = -1;
        _mapEntries = () => entries;
        _node.Source.WhileDraining = () => entries = _node.Source.Drains;
        await StartAsync();
        await StopAsync();

        Assert.Equal(2, (await _node.ScrapeAsync())["podnet_exporter_bpf_map_entries{map=\"traffic\"}"]);
    }

    [Fact]
    public async Task What_the_kernel_does_not_tell_of_maps_is_an_error_and_the_loop_goes_on()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _mapEntries = () => throw new BpfException("count the map", 12);
        await StartAsync();
        _node.Source.Put(7, Counted.Sent(1, 100));
        await TickAsync();
        await StopAsync();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(3, scrape.DrainErrors);
        Assert.Equal((0, 1), (_logger.CountOf("Draining failed"), _logger.CountOf("Reading the statistics of BPF programs and maps failed, retrying: Cannot count the map")));
    }

    [Fact]
    public async Task Statistics_that_can_be_read_again_are_logged_and_say_nothing_of_drains()
    {
        var fails = true;
        _mapEntries = () => fails ? throw new BpfException("count the map", 12) : 3;
        await StartAsync();
        await TickAsync();
        fails = false;
        await TickAsync();
        await TickAsync();
        await StopAsync();

        Assert.Equal(
            ["Reading the statistics of BPF programs and maps failed", "Reading the statistics of BPF programs and maps works again", "Stopped"],
            _logger.Entries.Select(entry => entry.Text.Split(',', ';')[0]));
    }

    [Fact]
    public async Task A_loop_without_handshakes_drains_the_traffic()
    {
        using var loop = NewLoop([_node.Traffic]);
        _node.Appear(7, 1, CountingNode.Web);
        _node.Source.Put(7, Counted.Sent(1, 100));
        await loop.StartAsync(CancellationToken.None);
        await _node.Source.NextDrainAsync();
        await loop.StopAsync(CancellationToken.None);

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(0, scrape.DrainErrors);
        Assert.Equal(0, _node.HandshakeSource.Drains);
    }

    private async Task StartAsync()
    {
        await _loop.StartAsync(CancellationToken.None);
        await _node.Source.NextDrainAsync();
    }

    /// <summary>What is behind a drain, logging too, has happened when the next begins or the loop has stopped.</summary>
    private async Task TickAsync(bool? fails = null)
    {
        _node.Source.Fails = fails ?? _node.Source.Fails;
        _node.Time.Advance(Interval);
        await _node.Source.NextDrainAsync();
    }

    private DrainLoop NewLoop(IReadOnlyList<SignalDrain> drains, params IReadOnlyList<Action> statistics) =>
        new("drain", drains, statistics, _node.Pods, _node.Drains, _health, _node.Time, _logger);

    private Task StopAsync() => _loop.StopAsync(CancellationToken.None);
}
