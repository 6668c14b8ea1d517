using System.Text.RegularExpressions;
using CsCheck;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The process is killed, and the next one goes on with what it finds in the ledger.</summary>
public sealed partial class RestoreTests : IDisposable
{
    private const ulong Millisecond = 1_000_000;

    private static readonly PodName Cache = new("shop", "cache");
    private static readonly PodName Host = new("__host__", "__host__");
    private static readonly PodName Others = new("shop", "__other__");
    private static readonly (string, string?)[] Settings =
        [("Metrics:Retention", "00:02:00"), ("Identity:HoldFor", "00:00:30"), ("Handshake:Buckets", "0.001;0.01;0.1"), ("Metrics:ExcludedNamespaces", "kube-system")];

    private readonly List<CountingNode> _nodes = [];
    private CountingNode _node;

    public RestoreTests() => _node = Begin(new CountingNode(Settings));

    public void Dispose() => _nodes.ForEach(node => node.Dispose());

    [Fact]
    public async Task Pods_series_go_on_where_they_were()
    {
        _node.Join(7, CountingNode.Web);
        _node.Join(8, CountingNode.Database);
        _node.CountEverything(7);
        _node.CountEverything(8);
        _node.Count(7, Counted.Both(Counted.Sent(10, 1001, 11), new() { Transmit = Counted.Sizes((3, 190), (0, 0), (5, 1001)), Receive = Counted.Sizes((7, 350)) }));
        var before = await _node.ScrapeAsync();

        Restart();
        AssertGoesOn(before, await _node.ScrapeAsync());
        Assert.Equal(before.CountPodSamples(), _node.Pods.Lines);

        _node.Join(7, CountingNode.Web);
        _node.Join(8, CountingNode.Database);
        AssertGoesOn(before, await _node.ScrapeAsync());
        _node.Count(7, Counted.Sent(5, 500, 6));
        _node.Count(8ul, Counted.Handshakes(Counted.Resent(3)));

        var after = await _node.ScrapeAsync();
        Assert.Equal(before.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp") + 500, after.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(before.Of("podnet_transmit_bytes_total", CountingNode.Database, "tcp"), after.Of("podnet_transmit_bytes_total", CountingNode.Database, "tcp"));
        Assert.Equal(before.Retransmits(CountingNode.Database, "client") + 3, after.Retransmits(CountingNode.Database, "client"));
        Assert.Equal(0, Retired(after));
    }

    [Fact]
    public async Task What_was_not_committed_is_not_there_and_was_never_shown()
    {
        var counts = _node.Join(7, CountingNode.Web).Counts!;
        _node.Count(7, Counted.Sent(1, 100, 1));
        counts.Add(Counted.Sent(5, 500, 5));
        var before = await _node.ScrapeCommittedAsync();
        Assert.Equal(100, before.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));

        Restart();

        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    /// <summary>In the order of any number of drains, which round otherwise than one sum.</summary>
    [Fact]
    public Task No_series_goes_back_however_often_it_is_killed() =>
        (from restarts in (from drains in (from duration in Gen.ULong[1, 3_000_000_000] from count in Gen.ULong[1, 1000] select (duration, count)).List[1, 30] select drains).Array[1, 4] select restarts)
        .SampleAsync(
            async restarts =>
            {
                var node = new CountingNode(Settings);
                var sum = 0ul;
                foreach (var drains in restarts)
                {
                    node.Join(7, CountingNode.Web);
                    foreach (var (duration, count) in drains)
                    {
                        HandshakeRole role = default;
                        role.Durations[node.Options.Handshake.Buckets.Count(bound => bound < duration)] = new(count, count * duration);
                        sum += count * duration;
                        node.Count(7ul, Counted.Handshakes(role));
                    }
                    var before = await node.ScrapeAsync();
                    node.Dispose();
                    node = node.StartAgain(Settings);
                    var after = await node.ScrapeAsync();
                    AssertGoesOn(before, after);
                    Assert.Equal(sum / 1e9, after.Durations("sum", CountingNode.Web, "client"), sum / 1e9 * 1e-9);
                }
                node.Dispose();
            },
            iter: 60);

    [Fact]
    public async Task The_others_series_and_the_total_of_what_is_folded_go_on()
    {
        (string, string?)[] settings = [.. Settings, ("Metrics:MaxPods", "1")];
        _node = Begin(new CountingNode(settings));
        _node.Join(7, CountingNode.Web);
        _node.Join(8, CountingNode.Database);
        _node.CountEverything(7);
        _node.CountEverything(8);
        var before = await _node.ScrapeAsync();
        Assert.True(before.CountSamplesOf(Others) > 0);

        Restart(settings);
        AssertGoesOn(before, await _node.ScrapeAsync());
        _node.Join(7, CountingNode.Web);
        _node.Join(8, CountingNode.Database);
        _node.Count(8, Counted.Sent(1, 23, 1));
        _node.Count(7, Counted.Sent(1, 1000, 1));

        var after = await _node.ScrapeAsync();
        Assert.Equal(before.Of("podnet_transmit_bytes_total", Others, "tcp") + 23, after.Of("podnet_transmit_bytes_total", Others, "tcp"));
        Assert.Equal(Total(before, "folded", "bytes", "transmit") + 23, Total(after, "folded", "bytes", "transmit"));
        Assert.Equal(before.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp") + 1000, after.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    [Fact]
    public async Task A_pod_that_was_folded_does_not_take_the_room_of_one_that_had_series()
    {
        (string, string?)[] settings = [.. Settings, ("Metrics:MaxPods", "1")];
        _node = Begin(new CountingNode(settings));
        _node.Join(7, CountingNode.Web);
        _node.Join(8, CountingNode.Database);
        _node.Count(7, Counted.Sent(1, 100, 1));
        _node.Count(8, Counted.Sent(1, 5, 1));

        Restart(settings);
        _node.Join(8, CountingNode.Database);
        _node.Pods.Settle();
        _node.Join(7, CountingNode.Web);
        _node.Pods.Settle();
        _node.Count(7, Counted.Sent(1, 10, 1));
        _node.Count(8, Counted.Sent(1, 7, 1));

        var after = await _node.ScrapeAsync();
        Assert.Equal(110, after.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(12, after.Of("podnet_transmit_bytes_total", Others, "tcp"));
    }

    [Fact]
    public async Task A_pod_that_is_gone_keeps_its_series_for_the_retention_and_is_in_the_total_of_what_has_left_then()
    {
        _node.Join(7, CountingNode.Web);
        _node.CountEverything(7);
        _node.Leave(7);
        var before = await _node.ScrapeAsync();

        Restart();
        _node.Time.Advance(TimeSpan.FromMinutes(2) - TimeSpan.FromTicks(1));
        _node.Pods.Settle();
        AssertGoesOn(before, await _node.ScrapeAsync());

        _node.Time.Advance(TimeSpan.FromTicks(1));
        _node.Pods.Settle();
        var after = await _node.ScrapeAsync();
        Assert.Equal((0, 0), (after.CountPodSamples(), _node.Pods.Lines));
        AssertAllThere(after, before);

        Restart();
        var later = await _node.ScrapeAsync();
        Assert.Equal(0, later.CountPodSamples());
        AssertAllThere(later, before);
    }

    [Fact]
    public async Task A_pod_that_comes_back_within_the_retention_stays()
    {
        _node.Join(7, CountingNode.Web);
        _node.CountEverything(7);
        var before = await _node.ScrapeAsync();

        Restart();
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        _node.Join(7, CountingNode.Web);
        _node.Time.Advance(TimeSpan.FromHours(1));
        _node.Pods.Settle();

        AssertGoesOn(before, await _node.ScrapeAsync());
    }

    [Fact]
    public async Task Where_fewer_pods_may_have_series_the_rest_is_in_the_total_of_what_has_left()
    {
        PodName[] pods = [CountingNode.Web, CountingNode.Database, Cache];
        for (var i = 0; i < pods.Length; i++)
        {
            _node.Join((ulong)(7 + i), pods[i]);
            _node.CountEverything(7 + i);
        }
        var before = await _node.ScrapeAsync();

        Restart([.. Settings, ("Metrics:MaxPods", "1")]);

        var after = await _node.ScrapeAsync();
        Assert.Single(pods, pod => after.CountSamplesOf(pod) > 0);
        Assert.Equal(before.CountPodSamples() / 3, after.CountPodSamples());
        Assert.Equal(after.CountPodSamples(), _node.Pods.Lines);
        AssertAllThere(after, before);
    }

    [Fact]
    public async Task What_has_no_room_any_more_takes_no_lines_of_the_budget()
    {
        var plan = _node.Options.CreatePlan();
        // Room for all that one can need, of which each of these needs a part.
        (string, string?)[] settings = [.. Settings, ("Metrics:MaxPods", "1"), ("Metrics:MaxSeries", $"{((plan.FixedLines + plan.Levels[0].Lines) * 16 / 15) + 1}")];
        PodName[] pods = [CountingNode.Web, CountingNode.Database, Cache];
        for (var i = 0; i < pods.Length; i++)
        {
            _node.Join((ulong)(7 + i), pods[i]);
            _node.Count(7 + i, Counted.Sent(1, 100, 1));
        }
        _node.Commit();

        Restart(settings);
        var shown = await _node.ScrapeAsync();
        var pod = Assert.Single(pods, pod => shown.CountSamplesOf(pod) > 0);
        _node.Join(20, pod);
        _node.CountEverything(20);

        Assert.Equal(200, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", pod, "tcp"));
    }

    [Fact]
    public async Task Where_the_budget_is_smaller_it_is_not_exceeded_and_all_is_there()
    {
        for (var i = 0; i < 10; i++)
        {
            _node.Join((ulong)(7 + i), new("shop", $"web-{i}"));
            _node.CountEverything(7 + i);
        }
        var before = await _node.ScrapeAsync();
        var plan = _node.Options.CreatePlan();
        var limit = (plan.FixedLines + (3 * plan.Levels[0].Lines)) * 16 / 15;

        Restart([.. Settings, ("Metrics:MaxSeries", $"{limit}")]);

        var after = await _node.ScrapeAsync();
        Assert.InRange(after.CountPodSamples(), 2 * plan.Levels[0].Lines, limit);
        Assert.Equal(after.CountPodSamples(), _node.Pods.Lines);
        AssertAllThere(after, before);
    }

    /// <summary>They have what the others of namespaces do not need of their share, too.</summary>
    [Fact]
    public async Task Where_the_budget_is_the_same_pods_that_have_all_of_it_keep_all_of_it()
    {
        (string, string?)[] settings = [.. Settings, ("Metrics:MaxSeries", "1000")];
        _node = Begin(new CountingNode(settings));
        for (var round = 0; round < 2; round++)
        {
            for (var i = 0; i < 200; i++)
            {
                if (round == 0)
                {
                    _node.Join((ulong)(7 + i), new("shop", $"web-{i}"));
                }
                _node.Count(7 + i, Counted.Sent(1, 100, 1));
            }
            _node.Pods.Settle();
        }
        var before = await _node.ScrapeAsync();
        var plan = _node.Options.CreatePlan();
        Assert.InRange(before.CountPodSamples(), plan.PodLines + plan.NamespaceLines - 5, plan.PodLines + plan.NamespaceLines);

        Restart(settings);

        AssertGoesOn(before, await _node.ScrapeAsync());
        Assert.Equal(before.CountPodSamples(), _node.Pods.Lines);
    }

    public static TheoryData<string, string, string, bool> Changes => new()
    {
        // Whether the pods' packets are shown on.
        { "labels", "Metrics:PodLabels", "namespace;pod;node", false },
        { "aggregation", "Metrics:Aggregation", "namespace", false },
        { "workloads", "Metrics:Aggregation", "workload", false },
        { "no sizes", "Metrics:PacketSizes", "off", true },
        { "sizes of namespaces", "Metrics:PacketSizes", "namespace", true },
        { "segments of namespaces", "Metrics:Segments", "namespace", true },
        { "no handshakes", "Metrics:Handshakes", "off", true },
        { "handshakes of namespaces", "Metrics:Handshakes", "namespace", true },
        { "buckets", "Handshake:Buckets", "0.5", true },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task With_other_options_what_cannot_be_shown_any_more_is_in_the_total_of_what_has_left(string change, string key, string value, bool goesOn)
    {
        (string, string?)[] settings = [.. Settings.Where(setting => setting.Item1 != key), (key, value)];
        _node.Join(7, CountingNode.Web);
        _node.Join(8, CountingNode.Database);
        _node.CountEverything(7);
        _node.CountEverything(8);
        _node.Join(9, new("kube-system", "proxy"));
        _node.CountEverything(9);
        var before = await _node.ScrapeAsync();

        Restart(settings);
        var after = await _node.ScrapeAsync();

        AssertAllThere(after, before);
        Assert.Equal((change, goesOn), (change, after.Samples.Any(sample => sample.StartsWith("podnet_transmit_packets_total{", StringComparison.Ordinal))));
        Assert.Equal(after.CountPodSamples(), _node.Pods.Lines);
        Assert.Equal(Total(before, "excluded", "bytes", "transmit"), Total(after, "excluded", "bytes", "transmit"));

        // And once again with those of before.
        Restart();
        AssertAllThere(await _node.ScrapeAsync(), before);
        _node.Time.Advance(TimeSpan.FromHours(1));
        _node.Pods.Settle();
        AssertAllThere(await _node.ScrapeAsync(), before);
        Assert.Equal(0, _node.Pods.Lines);
    }

    private static readonly string[] Levels = ["same", "pod", "workload", "namespace"];

    private static Gen<string> OneOf(params string[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static readonly Gen<(string, string?)[]> AnySettings =
        from buckets in OneOf("1", "0.001;1", "0.001;0.01;0.1")
        from labels in OneOf("namespace;pod", "pod", "namespace;workload;pod", "node")
        from aggregation in OneOf("pod", "workload", "namespace")
        from segments in OneOf([.. Levels, "off"])
        from sizes in OneOf([.. Levels, "off"])
        from handshakes in OneOf([.. Levels])
        from pods in Gen.Int[0, 5]
        select ((string, string?)[])
        [
            ("Handshake:Buckets", buckets),
            ("Metrics:PodLabels", labels),
            ("Metrics:Aggregation", aggregation),
            ("Metrics:Segments", segments),
            ("Metrics:PacketSizes", sizes),
            ("Metrics:Handshakes", handshakes),
            ("Metrics:MaxPods", $"{pods}"),
            ("Metrics:Retention", "00:02:00"),
        ];

    [Fact]
    public Task Whatever_options_it_is_started_with_all_that_was_counted_is_in_the_series_or_in_the_total_of_what_has_left() =>
        (from starts in (from settings in AnySettings from pods in Gen.Int[0, 5].List[0, 8] from minutes in Gen.Int[0, 2] select (settings, pods, minutes)).Array[1, 5] select starts)
        .SampleAsync(
            async starts =>
            {
                CountingNode? node = null;
                var counted = 0;
                foreach (var (settings, pods, minutes) in starts)
                {
                    var next = node?.StartAgain(settings) ?? new CountingNode(settings);
                    node?.Dispose();
                    node = next;
                    Assert.Equal((counted, counted), SumsOf(await node.ScrapeAsync()));
                    Assert.Equal((await node.ScrapeAsync()).CountPodSamples(), node.Pods.Lines);
                    var ifindex = 0;
                    foreach (var pod in pods)
                    {
                        ifindex++;
                        node.Join((ulong)ifindex, new($"ns{pod % 2}", $"web-{pod}"));
                        node.Count(ifindex, Counted.Both(Counted.Sent(1, 100, 1), Counted.Delivered(1, 100, 1)));
                        node.Count((ulong)ifindex, Counted.Handshakes(Counted.Completed(node.Options.Handshake.Buckets, 5 * Millisecond)));
                        counted++;
                    }
                    node.Time.Advance(TimeSpan.FromMinutes(minutes));
                    node.Pods.Settle();
                    Assert.Equal((counted, counted), SumsOf(await node.ScrapeAsync()));
                }
                node?.Dispose();
            },
            iter: 120,
            print: starts => string.Join('\n', starts.Select(start => $"{string.Join(' ', start.settings.Select(setting => $"{setting.Item1}={setting.Item2}"))}: {string.Join(' ', start.pods)}")));

    [Fact]
    public async Task With_other_buckets_count_and_sum_of_handshakes_stay_and_each_range_goes_where_its_mean_belongs()
    {
        _node.Join(7, CountingNode.Web);
        _node.Count(7ul, Counted.Handshakes(Counted.Completed(_node.Options.Handshake.Buckets, 1, 5 * Millisecond, 7 * Millisecond, 50 * Millisecond, 3_000_000_000)));
        var before = await _node.ScrapeAsync();
        (string, string?)[] settings = [.. Settings.Where(setting => setting.Item1 != "Handshake:Buckets"), ("Handshake:Buckets", "0.006;1")];

        Restart(settings);
        var after = await _node.ScrapeAsync();
        Assert.Equal(before.Durations("count", CountingNode.Web, "client"), after.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(before.Durations("sum", CountingNode.Web, "client"), after.Durations("sum", CountingNode.Web, "client"), 1e-9);
        Assert.Equal([(0.006, 3), (1, 4), (double.PositiveInfinity, 5)], after.DurationBuckets(CountingNode.Web, "client"));

        // Those that are counted since have ranges of the same numbers.
        _node.Join(7, CountingNode.Web);
        _node.Count(7ul, Counted.Handshakes(Counted.Completed(_node.Options.Handshake.Buckets, [.. Enumerable.Repeat(900 * Millisecond, 100)])));
        var more = await _node.ScrapeAsync();
        Restart(settings);
        AssertGoesOn(more, await _node.ScrapeAsync());
    }

    [Fact]
    public async Task What_is_held_for_an_interface_is_held_on_and_is_with_its_pod_once_that_is_known()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(3, 400, 3));

        Restart();
        var owner = _node.Appear(7, 1);
        _node.Traffic.Restore([owner]);
        _node.Count(7, Counted.Sent(1, 11, 1));
        var scrape = await _node.ScrapeAsync();
        Assert.Equal((0, 0), (scrape.CountPodSamples(), Total(scrape, "unattributed", "bytes", "transmit")));

        _node.Identify(7, CountingNode.Web);
        _node.Traffic.Drain();

        Assert.Equal(411, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Restart();
        Assert.Equal(411, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Empty(_node.Ledger.FindRestored(State.RecordKind.Held));
    }

    [Fact]
    public async Task What_is_held_for_an_interface_is_given_up_when_nobody_waits_any_more()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(3, 400, 3));

        Restart();
        var owner = _node.Appear(7, 1);
        _node.Traffic.Restore([owner]);
        _node.Time.Advance(TimeSpan.FromSeconds(30));
        _node.Traffic.Drain();

        Assert.Equal(400, Total(await _node.ScrapeAsync(), "unattributed", "bytes", "transmit"));
        Restart();
        Assert.Equal(400, Total(await _node.ScrapeAsync(), "unattributed", "bytes", "transmit"));
    }

    [Fact]
    public async Task What_is_held_for_an_interface_that_is_not_known_any_more_is_unattributed_once()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Both(Counted.Sent(3, 400, 3), Counted.Delivered(1, 60, 1)));

        Restart();
        _node.Traffic.Restore([]);
        Assert.Equal(400, Total(await _node.ScrapeAsync(), "unattributed", "bytes", "transmit"));

        Restart();
        _node.Traffic.Restore([]);
        var scrape = await _node.ScrapeAsync();
        Assert.Equal((400, 60), (Total(scrape, "unattributed", "bytes", "transmit"), Total(scrape, "unattributed", "bytes", "receive")));
    }

    [Fact]
    public async Task Of_interfaces_that_are_not_known_any_more_those_whose_rows_had_no_place_are_left_out()
    {
        const int Interfaces = 200;
        using var node = new CountingNode(null, Settings, new() { Room = LedgerTests.FirstSegments });
        for (var i = 1; i <= Interfaces; i++)
        {
            node.Appear(i, i);
            node.Count(i, Counted.Sent(1, 100));
        }
        Assert.NotEqual(0, node.Ledger.Unpinned);
        var kept = Interfaces - node.Ledger.Unpinned;

        using var next = node.StartAgain(Settings);
        next.Traffic.Restore([]);

        Assert.Equal(kept, (await next.ScrapeAsync())["podnet_exporter_unattributed_packets_total{direction=\"transmit\"}"]);
    }

    [Fact]
    public async Task Handshakes_that_are_held_for_a_namespace_are_held_on_and_are_with_its_pod_once_that_is_known()
    {
        _node.Count(7ul, Counted.Handshakes(Counted.Resent(3)));
        _node.Count(8ul, Counted.Handshakes(Counted.Failed(HandshakeFailure.Refused, 2)));

        Restart();
        _node.Handshakes.Restore([]);
        _node.Handshakes.Drain();
        Assert.Equal(0, (await _node.ScrapeAsync()).UnattributedHandshakes("client"));
        _node.Join(7, CountingNode.Web);
        _node.Handshakes.Drain();
        Assert.Equal(3, (await _node.ScrapeAsync()).Retransmits(CountingNode.Web, "client"));
        _node.Time.Advance(TimeSpan.FromSeconds(30));
        _node.Handshakes.Drain();
        Assert.Equal(2, (await _node.ScrapeAsync()).UnattributedHandshakes("client"));

        Restart();
        _node.Handshakes.Restore([]);
        _node.Join(8, CountingNode.Database);
        _node.Handshakes.Drain();
        var scrape = await _node.ScrapeAsync();
        Assert.Equal((3, 2), (scrape.Retransmits(CountingNode.Web, "client"), scrape.UnattributedHandshakes("client")));
        Assert.False(scrape.HasFailures(CountingNode.Database, "client", "refused"));
    }

    [Fact]
    public async Task Handshakes_that_were_missed_or_unseen_stay_counted_and_no_program_s_are_counted_twice()
    {
        _node.HandshakeSource.Missed = [new(100, 3)];
        _node.Handshakes.Drain();
        PutUnseen();
        Assert.Equal((3, 1), Lost(await _node.ScrapeAsync()));

        Restart();
        _node.Handshakes.Restore([]);
        Assert.Equal((3, 1), Lost(await _node.ScrapeAsync()));
        // While no exporter ran the kernel left more out of the programs, then they were replaced.
        _node.HandshakeSource.Missed = [new(100, 5), new(200, 2)];
        _node.Handshakes.Drain();
        PutUnseen();
        Assert.Equal((7, 2), Lost(await _node.ScrapeAsync()));

        // Killed before the first were forgotten.
        Restart();
        _node.Handshakes.Restore([]);
        _node.HandshakeSource.Missed = [new(100, 5), new(200, 2), new(300, 0)];
        _node.Handshakes.Drain();
        Assert.Equal((7, 2), Lost(await _node.ScrapeAsync()));

        void PutUnseen()
        {
            var now = (ulong)(_node.Time.GetElapsedTime(0).Ticks * TimeSpan.NanosecondsPerTick);
            _node.HandshakeSource.PutLate(default, new() { Started = now, Retransmitted = now + 1 });
            _node.Time.Advance(TimeSpan.FromMinutes(5));
            _node.Handshakes.Drain();
        }

        static (double Missed, double Unseen) Lost(ScrapedText scrape) => (scrape.LostHandshakes("missed"), scrape.LostHandshakes("unseen"));
    }

    [Fact]
    public async Task The_totals_of_who_is_left_out_and_of_what_is_nobody_s_go_on()
    {
        _node.Join(7, new("kube-system", "proxy"));
        _node.CountEverything(7);
        _node.Count(99, Counted.Both(Counted.Sent(3, 400), Counted.Delivered(1, 60)));
        var before = await _node.ScrapeAsync();

        Restart();
        AssertGoesOn(before, await _node.ScrapeAsync());
        _node.Join(7, new("kube-system", "proxy"));
        _node.Count(7, Counted.Sent(1, 11));
        _node.Count(99, Counted.Sent(1, 13));

        var after = await _node.ScrapeAsync();
        Assert.Equal(Total(before, "excluded", "bytes", "transmit") + 11, Total(after, "excluded", "bytes", "transmit"));
        Assert.Equal((413, 60), (Total(after, "unattributed", "bytes", "transmit"), Total(after, "unattributed", "bytes", "receive")));
    }

    [Fact]
    public async Task The_host_s_handshakes_go_on()
    {
        _node.JoinHost(1);
        _node.Count(1ul, Counted.Everything);
        var before = await _node.ScrapeAsync();
        Assert.True(before.CountSamplesOf(Host) > 0);

        Restart();
        AssertGoesOn(before, await _node.ScrapeAsync());
        _node.JoinHost(1);
        _node.Count(1ul, Counted.Handshakes(Counted.Resent(2)));
        _node.Time.Advance(TimeSpan.FromHours(1));
        _node.Pods.Settle();

        var after = await _node.ScrapeAsync();
        Assert.Equal(before.Retransmits(Host, "client") + 2, after.Retransmits(Host, "client"));
        Assert.Equal(before.CountPodSamples(), after.CountPodSamples());
        Assert.Equal(after.CountPodSamples(), _node.Pods.Lines);
    }

    private CountingNode Begin(CountingNode node)
    {
        _nodes.Add(node);
        return node;
    }

    private void Restart() => Restart(Settings);

    private void Restart((string, string?)[] settings) => _node = Begin(_node.StartAgain(settings));

    /// <summary>Every series is there, and what it says: a sum of seconds may be larger by what is rounded.</summary>
    private static void AssertGoesOn(ScrapedText before, ScrapedText after)
    {
        Assert.Equal(before.Samples.Where(sample => Counts().IsMatch(sample)).Order(), after.Samples.Where(sample => Counts().IsMatch(sample)).Order());
        foreach (var sample in before.Samples.Where(sample => Counts().IsMatch(sample)))
        {
            if (sample.StartsWith("podnet_tcp_handshake_duration_seconds_sum", StringComparison.Ordinal))
            {
                Assert.InRange(after[sample], before[sample], before[sample] * (1 + 1e-9));
            }
            else
            {
                Assert.Equal((sample, before[sample]), (sample, after[sample]));
            }
        }
    }

    /// <summary>What was in the series is in the series or in the total of what has left.</summary>
    private static void AssertAllThere(ScrapedText after, ScrapedText before)
    {
        foreach (var direction in SharedLabels)
        {
            foreach (var unit in (string[])["packets", "bytes"])
            {
                Assert.Equal(
                    (direction, unit, Sum(before, $"podnet_{direction}_{unit}_total{{") + Total(before, "retired", unit, direction)),
                    (direction, unit, Sum(after, $"podnet_{direction}_{unit}_total{{") + Total(after, "retired", unit, direction)));
            }
        }
        foreach (var role in (string[])["client", "server"])
        {
            Assert.Equal((role, HandshakesOf(before, role)), (role, HandshakesOf(after, role)));
        }
    }

    private static readonly string[] SharedLabels = ["transmit", "receive"];

    private static (int Packets, int Handshakes) SumsOf(ScrapedText scrape) =>
        ((int)(Sum(scrape, "podnet_transmit_packets_total{") + Total(scrape, "retired", "packets", "transmit")), (int)HandshakesOf(scrape, "client"));

    private static double HandshakesOf(ScrapedText scrape, string role) =>
        Sum(scrape, "podnet_tcp_handshake_duration_seconds_count{", role)
        + Sum(scrape, "podnet_tcp_handshake_failures_total{", role)
        + scrape[$"podnet_exporter_retired_handshakes_total{{role=\"{role}\"}}"];

    private static double Sum(ScrapedText scrape, string beginning, string? role = null) => scrape.Samples
        .Where(sample => sample.StartsWith(beginning, StringComparison.Ordinal) && (role is null || sample.Contains($"role=\"{role}\"", StringComparison.Ordinal)))
        .Sum(sample => scrape[sample]);

    private static double Total(ScrapedText scrape, string total, string unit, string direction) => scrape[$"podnet_exporter_{total}_{unit}_total{{direction=\"{direction}\"}}"];

    private static double Retired(ScrapedText scrape) =>
        scrape.Samples.Where(sample => sample.StartsWith("podnet_exporter_retired_", StringComparison.Ordinal)).Sum(sample => scrape[sample]);

    [GeneratedRegex("^podnet_(transmit|receive|packet|tcp|exporter_(unattributed|excluded|folded|retired))_")]
    private static partial Regex Counts();
}
