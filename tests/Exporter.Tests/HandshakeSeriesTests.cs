using CsCheck;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class HandshakeSeriesTests : IDisposable
{
    private const ulong Network = 4026532999;
    private const ulong Millisecond = 1_000_000;

    /// <summary>Four buckets, sum, count and retransmits.</summary>
    private const int RoleLines = 4 + 2 + 1;

    private static readonly TimeSpan Retention = TimeSpan.FromSeconds(120);

    private readonly CountingNode _node = new(("Metrics:Retention", "00:02:00"), ("Handshake:Buckets", "0.001;0.01;0.1"));

    public void Dispose() => _node.Dispose();

    public static TheoryData<HandshakeFailure, string> Reasons => new()
    {
        { HandshakeFailure.Refused, "refused" },
        { HandshakeFailure.Reset, "reset" },
        { HandshakeFailure.TimedOut, "timed_out" },
        { HandshakeFailure.HostUnreachable, "host_unreachable" },
        { HandshakeFailure.NetUnreachable, "net_unreachable" },
        { HandshakeFailure.Aborted, "aborted" },
        { HandshakeFailure.Other, "other" },
        { HandshakeFailure.HalfOpen, "half_open" },
    };

    [Theory]
    [InlineData("client")]
    [InlineData("server")]
    public async Task The_histogram_has_the_kernels_count_sum_and_buckets(string role)
    {
        _node.Join(Network, CountingNode.Web);

        _node.Count(Network, Of(role, Completed(1, Millisecond, 5 * Millisecond, 50 * Millisecond, 60 * Millisecond, 70 * Millisecond, 3_000_000_007)));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(7, scrape.Durations("count", CountingNode.Web, role));
        Assert.Equal(3_186_000_008, Nanoseconds(scrape, role));
        Assert.Equal([(0.001, 2), (0.01, 3), (0.1, 6), (double.PositiveInfinity, 7)], scrape.DurationBuckets(CountingNode.Web, role));
        Assert.Empty(scrape.DurationBuckets(CountingNode.Web, role == "client" ? "server" : "client"));
    }

    [Fact]
    public async Task The_histogram_adds_up_over_drains()
    {
        _node.Join(Network, CountingNode.Web);

        _node.Count(Network, Of("client", Completed(3, 4)));
        _node.Count(Network, Of("client", Completed(5, 20 * Millisecond)));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(20_000_012, Nanoseconds(scrape, "client"));
        Assert.Equal([(0.001, 3), (0.01, 3), (0.1, 4), (double.PositiveInfinity, 4)], scrape.DurationBuckets(CountingNode.Web, "client"));
    }

    [Fact]
    public async Task A_sum_that_no_mean_divides_evenly_is_exact()
    {
        var role = default(HandshakeRole);
        role.Durations[1] = new(7, (7 * 2 * Millisecond) + 3);
        _node.Join(Network, CountingNode.Web);

        _node.Count(Network, Of("server", role));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(14_000_003, Nanoseconds(scrape, "server"));
        Assert.Equal(7, scrape.Durations("count", CountingNode.Web, "server"));
    }

    /// <summary>As many that the mean cannot be a whole number of nanoseconds by chance.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(49)]
    [InlineData(99_991)]
    public async Task Durations_at_a_bound_belong_to_its_bucket_and_a_nanosecond_more_to_the_next(int handshakes)
    {
        // The defaults, which double can be no exact number of seconds for.
        using var node = new CountingNode();
        var bounds = node.Options.Handshake.Buckets;
        node.Join(Network, CountingNode.Web);
        node.Join(Network + 1, CountingNode.Database);
        var (at, above) = (default(HandshakeRole), default(HandshakeRole));
        for (var bound = 0; bound < bounds.Count; bound++)
        {
            at.Durations[bound] = new((ulong)handshakes, (ulong)handshakes * bounds[bound]);
            above.Durations[bound + 1] = new((ulong)handshakes, (ulong)handshakes * (bounds[bound] + 1));
        }

        node.Count(Network, Of("client", at));
        node.Count(Network + 1, Of("client", above));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(
            bounds.Select((_, bound) => (double)handshakes * (bound + 1)).Append(handshakes * bounds.Count),
            scrape.DurationBuckets(CountingNode.Web, "client").Select(bucket => bucket.Handshakes));
        Assert.Equal(
            bounds.Select((_, bound) => (double)handshakes * bound).Append(handshakes * bounds.Count),
            scrape.DurationBuckets(CountingNode.Database, "client").Select(bucket => bucket.Handshakes));
    }

    [Fact]
    public async Task The_bounds_are_those_of_the_option_in_seconds()
    {
        using var node = new CountingNode(("Handshake:Buckets", "0.000001;0.000123457;0.3;600"));
        node.Join(Network, CountingNode.Web);

        node.Count(Network, Of("client", Counted.Completed(node.Options.Handshake.Buckets, 1)));

        Assert.Equal(
            [0.000001, 0.000123457, 0.3, 600, double.PositiveInfinity],
            (await node.ScrapeAsync()).DurationBuckets(CountingNode.Web, "client").Select(bucket => bucket.Bound));
    }

    [Fact]
    public Task Any_durations_have_their_exact_count_sum_and_buckets() =>
        (from bounds in OfAnyMagnitude(1_000, 600_000_000_000).Array[1, 31].Select(drawn => drawn.Distinct().Order().ToArray())
         from drains in Durations(bounds).List[0, 10].Array[1, 4]
         select (bounds, drains))
        .SampleAsync(async drawn =>
        {
            var (bounds, drains) = drawn;
            using var node = new CountingNode(("Handshake:Buckets", string.Join(';', bounds.Select(bound => bound / 1_000_000_000m))));
            Assert.Equal(bounds, node.Options.Handshake.Buckets);
            node.Join(Network, CountingNode.Web);
            foreach (var drain in drains)
            {
                var role = default(HandshakeRole);
                foreach (var (duration, handshakes) in drain)
                {
                    ref var range = ref role.Durations[bounds.Count(bound => bound < duration)];
                    range = new(range.Handshakes + handshakes, range.Nanoseconds + (duration * handshakes));
                }
                node.Count(Network, Of("server", role));
            }

            var all = drains.SelectMany(drain => drain).ToList();
            var scrape = await node.ScrapeAsync();
            if (all.Count == 0)
            {
                Assert.Equal(0, scrape.CountHandshakeSamples());
                return;
            }
            Assert.Equal(all.Sum(counted => (double)counted.Handshakes), scrape.Durations("count", CountingNode.Web, "server"));
            Assert.Equal(all.Sum(counted => (double)(counted.Duration * counted.Handshakes)), Nanoseconds(scrape, "server"));
            Assert.Equal(
                bounds.Select(bound => all.Where(counted => counted.Duration <= bound).Sum(counted => (double)counted.Handshakes))
                    .Append(all.Sum(counted => (double)counted.Handshakes)),
                scrape.DurationBuckets(CountingNode.Web, "server").Select(bucket => bucket.Handshakes));
        });

    [Theory]
    [MemberData(nameof(Reasons))]
    public async Task Failures_are_counted_by_role_and_reason(HandshakeFailure reason, string label)
    {
        _node.Join(Network, CountingNode.Web);

        _node.Count(Network, Counted.Handshakes(Counted.Failed(reason, 3), Counted.Failed(reason, 10)));
        _node.Count(Network, Of("client", Counted.Failed(reason, 1)));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(4, scrape.Failures(CountingNode.Web, "client", label));
        Assert.Equal(10, scrape.Failures(CountingNode.Web, "server", label));
        Assert.Equal(2, scrape.CountHandshakeSamples());
    }

    [Fact]
    public void Every_reason_has_a_label_in_these_tests() =>
        Assert.Equal(Enum.GetValues<HandshakeFailure>(), Reasons.Select(row => row.Data.Item1));

    [Fact]
    public async Task Retransmits_are_counted_by_role()
    {
        _node.Join(Network, CountingNode.Web);

        _node.Count(Network, Counted.Handshakes(Counted.Resent(3), Counted.Resent(10)));
        _node.Count(Network, Of("client", Counted.Resent(1)));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(4, scrape.Retransmits(CountingNode.Web, "client"));
        Assert.Equal(10, scrape.Retransmits(CountingNode.Web, "server"));
        Assert.Equal(2 * RoleLines, scrape.CountHandshakeSamples());
    }

    [Fact]
    public async Task Series_appear_with_what_they_count_and_their_number_is_the_number_of_sample_lines()
    {
        await AssertSeriesAsync(handshakes: 0);

        _node.Join(Network, CountingNode.Web);
        await AssertSeriesAsync(handshakes: 0);

        _node.Count(Network, default(HandshakeValue));
        await AssertSeriesAsync(handshakes: 0);

        _node.Count(Network, Of("server", Counted.Failed(HandshakeFailure.Aborted)));
        await AssertSeriesAsync(handshakes: 1);

        _node.Count(Network, Of("server", Counted.Resent(1)));
        await AssertSeriesAsync(handshakes: 1 + RoleLines);

        _node.Count(Network, Of("client", Completed(Millisecond)));
        await AssertSeriesAsync(handshakes: 1 + (2 * RoleLines));

        _node.Count(Network, Of("client", Completed(1, 2 * Millisecond, 5_000_000_000)));
        await AssertSeriesAsync(handshakes: 1 + (2 * RoleLines));

        _node.Count(Network, Of("server", Counted.Both(Counted.Failed(HandshakeFailure.Other), Completed(1))));
        await AssertSeriesAsync(handshakes: 2 + (2 * RoleLines));

        _node.Join(Network + 1, CountingNode.Database);
        _node.Count(Network + 1, Of("client", Counted.Failed(HandshakeFailure.Refused)));
        await AssertSeriesAsync(handshakes: 3 + (2 * RoleLines));

        _node.Leave(Network);
        _node.Time.Advance(Retention);
        _node.Pods.Settle();
        await AssertSeriesAsync(handshakes: 1);
    }

    [Fact]
    public async Task Everything_of_a_pod_stays_for_the_retention_and_leaves_after()
    {
        var everything = Completed(1, 2 * Millisecond);
        foreach (var reason in Enum.GetValues<HandshakeFailure>())
        {
            everything = Counted.Both(everything, Counted.Failed(reason));
        }
        everything = Counted.Both(everything, Counted.Resent(1));
        _node.Join(Network, CountingNode.Web);
        _node.Join(Network + 1, CountingNode.Database);
        _node.Count(Network, Counted.Handshakes(everything, everything));
        _node.Count(Network + 1, Counted.Handshakes(everything, everything));

        _node.Leave(Network);
        _node.Time.Advance(Retention - TimeSpan.FromTicks(1));
        _node.Pods.Settle();
        Assert.Equal(2 * 2 * (6 + 8 + 1), (await _node.ScrapeAsync()).CountHandshakeSamples());

        _node.Time.Advance(TimeSpan.FromTicks(1));
        _node.Pods.Settle();
        var scrape = await _node.ScrapeAsync();
        Assert.Equal(0, scrape.CountSamplesOf(CountingNode.Web));
        Assert.Equal(2 * (6 + 8 + 1), scrape.CountHandshakeSamples());
    }

    [Fact]
    public async Task A_pod_that_comes_back_after_the_retention_starts_anew()
    {
        _node.Join(Network, CountingNode.Web);
        _node.Count(Network, Of("client", Counted.Both(Completed(1, 2), Counted.Both(Counted.Failed(HandshakeFailure.Reset), Counted.Resent(5)))));
        _node.Leave(Network);
        _node.Time.Advance(Retention);
        _node.Pods.Settle();

        _node.Join(Network + 1, CountingNode.Web);
        _node.Count(Network + 1, Of("client", Counted.Both(Completed(4), Counted.Resent(1))));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(4, Nanoseconds(scrape, "client"));
        Assert.Equal(1, scrape.Retransmits(CountingNode.Web, "client"));
        Assert.False(scrape.HasFailures(CountingNode.Web, "client", "reset"));
    }

    [Fact]
    public async Task The_host_has_handshakes_and_no_traffic()
    {
        var host = new PodName("__host__", "__host__");
        _node.JoinHost(1);
        Assert.Equal((0, 0), ((await _node.ScrapeAsync()).CountPodSamples(), _node.Pods.Lines));

        _node.Count(1, Counted.Handshakes(Completed(1), Counted.Resent(2)));
        _node.Time.Advance(Retention * 2);
        _node.Pods.Settle();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Durations("count", host, "client"));
        Assert.Equal(2, scrape.Retransmits(host, "server"));
        Assert.Equal(2 * RoleLines, scrape.CountSamplesOf(host));
        Assert.Equal(2 * RoleLines, scrape.CountPodSamples());
        Assert.Equal(2 * RoleLines, _node.Pods.Lines);
    }

    [Fact]
    public async Task A_pod_has_its_traffic_beside_its_handshakes()
    {
        _node.Join(Network, CountingNode.Web);

        _node.Count(Network, Of("client", Counted.Resent(2)));
        _node.Count(_node.Table.ByNamespace[Network].Ifindex, Counted.Sent(1, 100, 1));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2, scrape.Retransmits(CountingNode.Web, "client"));
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    private static HandshakeValue Of(string role, HandshakeRole handshakes) =>
        role == "client" ? Counted.Handshakes(handshakes) : Counted.Handshakes(server: handshakes);

    /// <summary>
    /// Durations of every magnitude, at the bounds and beside them more often than by chance, each as often as its sum stays below a
    /// number that a double of seconds has to the nanosecond.
    /// </summary>
    private static Gen<(ulong Duration, ulong Handshakes)> Durations(ulong[] bounds) =>
        from duration in Gen.OneOf(
            OfAnyMagnitude(1, 700_000_000_000),
            from bound in Gen.Int[0, bounds.Length - 1]
            from beside in Gen.Int[-1, 1]
            select bounds[bound] + (ulong)beside)
        from handshakes in Gen.ULong[1, Math.Min(1_000_000, 1 + (1_000_000_000_000 / duration))]
        select (duration, handshakes);

    private static Gen<ulong> OfAnyMagnitude(ulong least, ulong most) =>
        Gen.Double[Math.Log2(least), Math.Log2(most)].Select(magnitude => Math.Clamp((ulong)Math.Pow(2, magnitude), least, most));

    private HandshakeRole Completed(params ulong[] nanoseconds) => Counted.Completed(_node.Options.Handshake.Buckets, nanoseconds);

    private static double Nanoseconds(ScrapedText scrape, string role) => Math.Round(scrape.Durations("sum", CountingNode.Web, role) * 1e9);

    private async Task AssertSeriesAsync(int handshakes)
    {
        var scrape = await _node.ScrapeAsync();
        Assert.Equal(handshakes, scrape.CountHandshakeSamples());
        Assert.Equal(scrape.CountPodSamples(), _node.Pods.Lines);
    }
}
