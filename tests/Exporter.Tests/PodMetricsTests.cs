using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class PodMetricsTests : IDisposable
{
    private static readonly TimeSpan Retention = TimeSpan.FromSeconds(120);

    private readonly CountingNode _node = new(("Metrics:Retention", "00:02:00"));

    public void Dispose() => _node.Dispose();

    public static TheoryData<int, string> Transports => new()
    {
        { (int)Transport.Tcp, "tcp" },
        { (int)Transport.Udp, "udp" },
        { (int)Transport.Icmp, "icmp" },
        { (int)Transport.Sctp, "sctp" },
        { (int)Transport.Other, "other" },
    };

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task What_a_pod_sends_is_counted_as_transmitted_by_transport(int transport, string label)
    {
        _node.Appear(7, 1, CountingNode.Web);

        _node.Count(7, Counted.Sent(packets: 3, bytes: 4_000_000_001, segments: 17, (Transport)transport));
        _node.Count(7, Counted.Sent(packets: 2, bytes: 200, segments: 2, (Transport)transport));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(5, scrape.Of("podnet_transmit_packets_total", CountingNode.Web, label));
        Assert.Equal(4_000_000_201, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, label));
        Assert.Equal(19, scrape.Of("podnet_transmit_segments_total", CountingNode.Web, label));
        Assert.All(scrape.Samples.Where(sample => sample.StartsWith("podnet_receive_", StringComparison.Ordinal)), sample => Assert.Equal((sample, 0), (sample, scrape[sample])));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task What_is_delivered_to_a_pod_is_counted_as_received_by_transport(int transport, string label)
    {
        _node.Appear(7, 1, CountingNode.Web);

        _node.Count(7, Counted.Delivered(packets: 3, bytes: 4_000_000_001, segments: 17, (Transport)transport));
        _node.Count(7, Counted.Delivered(packets: 2, bytes: 200, segments: 2, (Transport)transport));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(5, scrape.Of("podnet_receive_packets_total", CountingNode.Web, label));
        Assert.Equal(4_000_000_201, scrape.Of("podnet_receive_bytes_total", CountingNode.Web, label));
        Assert.Equal(19, scrape.Of("podnet_receive_segments_total", CountingNode.Web, label));
        Assert.All(scrape.Samples.Where(sample => sample.StartsWith("podnet_transmit_", StringComparison.Ordinal)), sample => Assert.Equal((sample, 0), (sample, scrape[sample])));
    }

    [Fact]
    public async Task A_transport_appears_with_its_first_packet()
    {
        _node.Appear(7, 1, CountingNode.Web);
        Assert.False((await _node.ScrapeAsync()).Has("podnet_transmit_packets_total", CountingNode.Web, "udp"));

        _node.Count(7, Counted.Sent(1, 60, 1, Transport.Tcp));
        var before = await _node.ScrapeAsync();
        _node.Count(7, Counted.Sent(1, 60, 1, Transport.Udp));
        var after = await _node.ScrapeAsync();

        Assert.True(before.Has("podnet_transmit_packets_total", CountingNode.Web, "tcp"));
        Assert.False(before.Has("podnet_transmit_packets_total", CountingNode.Web, "udp"));
        Assert.True(after.Has("podnet_transmit_packets_total", CountingNode.Web, "udp"));
    }

    [Theory]
    [InlineData("transmit")]
    [InlineData("receive")]
    public async Task The_histogram_has_the_kernels_count_sum_and_buckets(string direction)
    {
        // One range in turn: 64, 128, 256, 512, 1024, 1518, 9018 bytes at most, and above.
        var sizes = Counted.Sizes((2, 120), (4, 400), (8, 2000), (16, 8000), (32, 32_000), (64, 96_000), (128, 1_024_000), (256, 3_072_000));
        _node.Appear(7, 1, CountingNode.Web);

        _node.Count(7, direction == "transmit" ? new() { Transmit = sizes } : new() { Receive = sizes });

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2 + 4 + 8 + 16 + 32 + 64 + 128 + 256, scrape[Histogram("count", direction)]);
        Assert.Equal(120 + 400 + 2000 + 8000 + 32_000 + 96_000 + 1_024_000 + 3_072_000, scrape[Histogram("sum", direction)]);
        Assert.Equal(
            [2, 6, 14, 30, 62, 126, 254, 510],
            ((string[])["64", "128", "256", "512", "1024", "1518", "9018", "+Inf"]).Select(bound => scrape[Histogram("bucket", direction, bound)]));
        Assert.Equal(0, scrape[Histogram("count", direction == "transmit" ? "receive" : "transmit")]);
    }

    [Fact]
    public async Task Lengths_at_the_bounds_stay_in_their_buckets()
    {
        _node.Appear(7, 1, CountingNode.Web);

        _node.Count(7, new() { Transmit = Counted.Sizes((3, 3 * 64), (5, 5 * 65), (0, 0), (7, 7 * 512), (0, 0), (9, 9 * 1518), (0, 0), (11, 11 * 9019)) });

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(
            [3, 8, 8, 15, 15, 24, 24, 35],
            ((string[])["64", "128", "256", "512", "1024", "1518", "9018", "+Inf"]).Select(bound => scrape[Histogram("bucket", "transmit", bound)]));
    }

    [Fact]
    public async Task The_histogram_adds_up_over_drains()
    {
        _node.Appear(7, 1, CountingNode.Web);

        _node.Count(7, new() { Transmit = Counted.Sizes((2, 120)) });
        _node.Count(7, new() { Transmit = Counted.Sizes((4, 200), (1, 100)) });

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(7, scrape[Histogram("count", "transmit")]);
        Assert.Equal(420, scrape[Histogram("sum", "transmit")]);
        Assert.Equal(6, scrape[Histogram("bucket", "transmit", "64")]);
    }

    [Fact]
    public async Task A_sum_that_no_mean_divides_evenly_is_exact()
    {
        _node.Appear(7, 1, CountingNode.Web);

        _node.Count(7, new() { Transmit = Counted.Sizes((0, 0), (7, 457)) });

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(457, scrape[Histogram("sum", "transmit")]);
        Assert.Equal(7, scrape[Histogram("count", "transmit")]);
    }

    [Fact]
    public async Task Two_interfaces_of_a_pod_sum_up()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Appear(8, 2, CountingNode.Web);

        _node.Source.Put(7, Counted.Sent(1, 100, 1));
        _node.Source.Put(8, Counted.Sent(2, 250, 3));
        _node.Traffic.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(3, scrape.Of("podnet_transmit_packets_total", CountingNode.Web, "tcp"));
        Assert.Equal(350, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(4, scrape.Of("podnet_transmit_segments_total", CountingNode.Web, "tcp"));
    }

    [Fact]
    public async Task Two_pods_are_counted_apart()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Appear(8, 2, CountingNode.Database);

        _node.Source.Put(8, Counted.Sent(2, 250, 3));
        _node.Source.Put(7, Counted.Sent(1, 100, 1));
        _node.Traffic.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(250, scrape.Of("podnet_transmit_bytes_total", CountingNode.Database, "tcp"));
    }

    [Fact]
    public async Task Series_stay_for_the_retention_and_leave_after()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Count(7, Counted.Both(Counted.Sent(1, 100, 1), Counted.Delivered(1, 60, 1, Transport.Udp)));

        _node.Forget(7);
        _node.Time.Advance(Retention - TimeSpan.FromTicks(1));
        _node.Pods.Settle();
        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));

        _node.Time.Advance(TimeSpan.FromTicks(1));
        _node.Pods.Settle();
        Assert.Equal(0, (await _node.ScrapeAsync()).CountSamplesOf(CountingNode.Web));
    }

    [Fact]
    public async Task The_series_of_a_pod_with_an_interface_never_leave()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Appear(8, 2, CountingNode.Web);
        _node.Count(7, Counted.Sent(1, 100, 1));

        _node.Forget(7);
        _node.Time.Advance(Retention * 2);
        _node.Pods.Settle();

        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    [Fact]
    public async Task The_retention_begins_with_the_last_interface()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Appear(8, 2, CountingNode.Web);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Forget(7);
        _node.Time.Advance(Retention / 2);
        _node.Forget(8);

        _node.Time.Advance(Retention / 2);
        _node.Pods.Settle();
        Assert.NotEqual(0, (await _node.ScrapeAsync()).CountSamplesOf(CountingNode.Web));

        _node.Time.Advance(Retention / 2);
        _node.Pods.Settle();
        Assert.Equal(0, (await _node.ScrapeAsync()).CountSamplesOf(CountingNode.Web));
    }

    [Fact]
    public async Task A_pod_that_comes_back_within_the_retention_continues()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Count(7, Counted.Sent(1, 100, 1));
        _node.Forget(7);
        _node.Time.Advance(Retention / 2);
        _node.Pods.Settle();

        _node.Appear(9, 2, CountingNode.Web);
        _node.Count(9, Counted.Sent(1, 11, 1));
        _node.Time.Advance(Retention * 2);
        _node.Pods.Settle();

        Assert.Equal(111, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    [Fact]
    public async Task A_pod_that_comes_back_after_the_retention_starts_anew()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Count(7, Counted.Both(Counted.Sent(1, 100, 1), new() { Transmit = Counted.Sizes((1, 60)) }));
        _node.Forget(7);
        _node.Time.Advance(Retention);
        _node.Pods.Settle();

        _node.Appear(9, 2, CountingNode.Web);
        _node.Count(9, Counted.Both(Counted.Sent(1, 11, 1), new() { Transmit = Counted.Sizes((1, 50)) }));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(11, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(50, scrape[Histogram("sum", "transmit")]);
    }

    [Fact]
    public async Task One_pod_leaving_takes_no_other_with_it()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Appear(8, 2, CountingNode.Database);
        _node.Count(8, Counted.Sent(1, 100, 1));
        _node.Forget(7);

        _node.Time.Advance(Retention);
        _node.Pods.Settle();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(0, scrape.CountSamplesOf(CountingNode.Web));
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", CountingNode.Database, "tcp"));
    }

    [Fact]
    public async Task The_number_of_series_is_the_number_of_sample_lines()
    {
        await AssertSeriesCountAsync();

        _node.Appear(7, 1, CountingNode.Web);
        await AssertSeriesCountAsync();

        _node.Count(7, Counted.Sent(1, 100, 1));
        await AssertSeriesCountAsync();

        _node.Appear(8, 2, CountingNode.Database);
        _node.Appear(9, 3, CountingNode.Web);
        _node.Count(8, Counted.Both(Counted.Delivered(1, 60, 1, Transport.Sctp), Counted.Sent(1, 60, 1, Transport.Other)));
        await AssertSeriesCountAsync();

        _node.Forget(8);
        await AssertSeriesCountAsync();

        _node.Time.Advance(Retention);
        _node.Pods.Settle();
        await AssertSeriesCountAsync();
    }

    private static string Histogram(string part, string direction, string? bound = null) =>
        $"podnet_packet_size_bytes_{part}{{{CountingNode.Web},direction=\"{direction}\"{(bound is null ? "" : $",le=\"{bound}\"")}}}";

    private async Task AssertSeriesCountAsync() => Assert.Equal((await _node.ScrapeAsync()).CountPodSamples(), _node.Pods.Lines);
}
