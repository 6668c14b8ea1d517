using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Tests.Support;
using Prometheus;

namespace Exporter.Tests;

/// <summary>Of maps; what the kernel says of programs takes programs.</summary>
public sealed class BpfMetricsTests
{
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();

    [Fact]
    public async Task The_room_of_a_map_is_told_from_the_start()
    {
        Create(new("traffic", 1024, () => 0), new("handshakes_late", 16384, () => 0));

        var scrape = await ScrapeAsync();
        Assert.Equal(1024, scrape["podnet_exporter_bpf_map_max_entries{map=\"traffic\"}"]);
        Assert.Equal(16384, scrape["podnet_exporter_bpf_map_max_entries{map=\"handshakes_late\"}"]);
    }

    [Fact]
    public async Task The_entries_of_a_map_are_those_of_the_last_update()
    {
        var (traffic, late) = (3, 7);
        var metrics = Create(new("traffic", 1024, () => traffic), new("handshakes_late", 16384, () => late));

        metrics.Update();
        (traffic, late) = (2, 0);
        Assert.Equal((3, 7), await EntriesAsync());

        metrics.Update();
        Assert.Equal((2, 0), await EntriesAsync());

        async Task<(double Traffic, double Late)> EntriesAsync()
        {
            var scrape = await ScrapeAsync();
            return (scrape["podnet_exporter_bpf_map_entries{map=\"traffic\"}"], scrape["podnet_exporter_bpf_map_entries{map=\"handshakes_late\"}"]);
        }
    }

    [Fact]
    public async Task A_map_that_cannot_be_read_keeps_what_was_last_known()
    {
        var fails = false;
        var metrics = Create(new MapUsage("traffic", 1024, () => fails ? throw new BpfException("count the map", 12) : 3));
        metrics.Update();
        fails = true;

        Assert.Throws<BpfException>(metrics.Update);

        Assert.Equal(3, (await ScrapeAsync())["podnet_exporter_bpf_map_entries{map=\"traffic\"}"]);
    }

    [Fact]
    public async Task Without_programs_nothing_is_told_of_any()
    {
        Create(new MapUsage("traffic", 1024, () => 0)).Update();

        Assert.DoesNotContain((await ScrapeAsync()).Samples, sample => sample.StartsWith("podnet_exporter_bpf_program_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_runs_of_a_program_whose_replacement_is_replaced_by_it_again_are_counted_once()
    {
        var factory = Prometheus.Metrics.WithCustomRegistry(_registry);
        var (runs, seconds, misses) = (factory.CreateCounter("runs", ""), factory.CreateCounter("seconds", ""), factory.CreateCounter("misses", ""));
        var series = new BpfMetrics.ProgramSeries(runs.WithLabels(), seconds.WithLabels(), misses.WithLabels());

        series.Update(1, new(100, TimeSpan.FromSeconds(10), 4));
        series.Update(2, new(30, TimeSpan.FromSeconds(3), 2));
        series.Update(1, new(101, TimeSpan.FromSeconds(11), 5));
        series.Update(2, new(32, TimeSpan.FromSeconds(5), 2));

        var scrape = await ScrapeAsync();
        Assert.Equal((133, 16, 7), (scrape["runs"], scrape["seconds"], scrape["misses"]));
    }

    private BpfMetrics Create(params MapUsage[] maps) => new(Prometheus.Metrics.WithCustomRegistry(_registry), [], maps);

    private Task<ScrapedText> ScrapeAsync() => ScrapedText.OfAsync(_registry);
}
