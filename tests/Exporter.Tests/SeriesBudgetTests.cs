using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;

namespace Exporter.Tests;

/// <summary>Who has series of its own when there is not room for all, and where the others are counted.</summary>
public sealed class SeriesBudgetTests : IDisposable
{
    private const string Transmitted = "podnet_transmit_bytes_total";

    private static readonly PodName Others = new("shop", "__other__");
    private static readonly PodName OthersOfAll = new("__other__", "__other__");
    private static readonly TimeSpan Retention = TimeSpan.FromMinutes(2);

    private readonly List<CountingNode> _nodes = [];

    public void Dispose() => _nodes.ForEach(node => node.Dispose());

    [Fact]
    public async Task A_pod_without_room_is_counted_under_the_others_of_its_namespace()
    {
        var node = Node(pods: 1);
        node.Appear(1, 1, Pod(1));
        node.Appear(2, 2, Pod(2));

        node.Count(1, Counted.Sent(1, 100, 1));
        node.Count(2, Counted.Both(Counted.Sent(2, 250, 3), Counted.Delivered(4, 500, 6, Transport.Udp)));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(100, scrape.Of(Transmitted, Pod(1), "tcp"));
        Assert.Equal(0, scrape.CountSamplesOf(Pod(2)));
        Assert.Equal((2, 250, 3), (scrape.Of("podnet_transmit_packets_total", Others, "tcp"), scrape.Of(Transmitted, Others, "tcp"), scrape.Of("podnet_transmit_segments_total", Others, "tcp")));
        Assert.Equal(500, scrape.Of("podnet_receive_bytes_total", Others, "udp"));
    }

    [Fact]
    public async Task Pods_without_room_sum_up_by_namespace()
    {
        var node = Node(pods: 0);
        node.Appear(1, 1, Pod(1));
        node.Appear(2, 2, Pod(2));
        node.Appear(3, 3, new("bank", "web"));

        node.Count(1, Counted.Sent(1, 100, 1));
        node.Count(2, Counted.Sent(1, 20, 1));
        node.Count(3, Counted.Sent(1, 3, 1));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(120, scrape.Of(Transmitted, Others, "tcp"));
        Assert.Equal(3, scrape.Of(Transmitted, new("bank", "__other__"), "tcp"));
    }

    [Fact]
    public async Task Past_their_share_of_the_budget_namespaces_are_folded_together()
    {
        var node = Node(pods: 0, namespaces: 2);
        for (var i = 1; i <= 4; i++)
        {
            node.Join((ulong)i, new($"ns{i}", "web"));
        }
        node.CountEverything(1);
        node.CountEverything(2);
        for (var i = 1; i <= 4; i++)
        {
            node.Count(i, Counted.Sent(1, (ulong)Math.Pow(10, i + 2), 1));
        }

        var scrape = await node.ScrapeAsync();
        Assert.Equal(1_100, scrape.Of(Transmitted, new("ns1", "__other__"), "tcp"));
        Assert.Equal(10_100, scrape.Of(Transmitted, new("ns2", "__other__"), "tcp"));
        Assert.Equal(1_100_000, scrape.Of(Transmitted, OthersOfAll, "tcp"));
    }

    [Fact]
    public async Task The_smallest_budget_has_all_pods_under_one_name_and_the_host_under_its_own()
    {
        var node = Node(pods: 0, namespaces: 0);
        node.JoinHost(77);
        node.Join(7, Pod(1));

        node.Count(7, Counted.Sent(1, 100, 1));
        node.Count(7ul, Counted.Handshakes(Counted.Completed([1_000_000_000], 5)));
        node.Count(77ul, Counted.Handshakes(server: Counted.Completed([1_000_000_000], 5, 6)));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(100, scrape.Of(Transmitted, OthersOfAll, "tcp"));
        Assert.Equal(1, scrape.Durations("count", OthersOfAll, "client"));
        Assert.Equal(2, scrape.Durations("count", new("__host__", "__host__"), "server"));
    }

    [Fact]
    public async Task The_number_of_pods_is_bounded_as_well()
    {
        var node = Node(pods: 100, settings: ("Metrics:MaxPods", "2"));
        for (var i = 1; i <= 3; i++)
        {
            node.Appear(i, i, Pod(i));
            node.Count(i, Counted.Sent(1, 100, 1));
        }

        var scrape = await node.ScrapeAsync();
        Assert.Equal([true, true, false], Enumerable.Range(1, 3).Select(i => scrape.Has(Transmitted, Pod(i), "tcp")));
        Assert.Equal(100, scrape.Of(Transmitted, Others, "tcp"));
    }

    [Fact]
    public async Task Who_has_series_keeps_them_while_others_with_more_traffic_wait()
    {
        var node = Node(pods: 1);
        node.Appear(1, 1, Pod(1));
        node.Appear(2, 2, Pod(2));
        node.Count(1, Counted.Sent(1, 1, 1));

        for (var i = 0; i < 10; i++)
        {
            node.Count(2, Counted.Sent(1000, 1_000_000, 1000));
            node.Time.Advance(Retention);
            node.Pods.Settle();
        }

        var scrape = await node.ScrapeAsync();
        Assert.Equal(1, scrape.Of(Transmitted, Pod(1), "tcp"));
        Assert.False(scrape.Has(Transmitted, Pod(2), "tcp"));
    }

    [Fact]
    public async Task Room_that_comes_free_goes_to_the_one_that_waits_with_the_most_traffic()
    {
        var node = Node(pods: 1);
        for (var i = 1; i <= 4; i++)
        {
            node.Appear(i, i, Pod(i));
        }
        node.Count(1, Counted.Sent(1, 1, 1));
        node.Count(2, Counted.Sent(9, 1000, 9));
        node.Count(3, Counted.Both(Counted.Sent(1, 600, 1), Counted.Delivered(1, 600, 1)));
        node.Count(4, Counted.Delivered(1, 1100, 1));

        Leave(node, 1);

        foreach (var i in (int[])[2, 3, 4])
        {
            node.Count(i, Counted.Sent(1, 1, 1));
        }
        var scrape = await node.ScrapeAsync();
        Assert.Equal([false, true, false], ((int[])[2, 3, 4]).Select(i => scrape.Has(Transmitted, Pod(i), "tcp")));
    }

    [Fact]
    public async Task A_pod_that_gets_series_begins_at_zero_and_its_past_stays_where_it_was_counted()
    {
        var node = Node(pods: 1);
        node.Appear(1, 1, Pod(1));
        node.Appear(2, 2, Pod(2));
        node.Appear(3, 3, Pod(3));
        node.Count(1, Counted.Sent(1, 1, 1));
        node.Count(2, Counted.Both(Counted.Sent(5, 500, 5), new() { Transmit = Counted.Sizes((5, 300)) }));

        Leave(node, 1);
        node.Count(2, Counted.Both(Counted.Sent(1, 70, 1), new() { Transmit = Counted.Sizes((1, 60)) }));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(70, scrape.Of(Transmitted, Pod(2), "tcp"));
        Assert.Equal(500, scrape.Of(Transmitted, Others, "tcp"));
        Assert.Equal(60, scrape[$"podnet_packet_size_bytes_sum{{{Pod(2)},direction=\"transmit\"}}"]);
        Assert.Equal(300, scrape[$"podnet_packet_size_bytes_sum{{{Others},direction=\"transmit\"}}"]);
    }

    [Fact]
    public async Task A_new_pod_does_not_overtake_one_that_waits()
    {
        var node = NodeWithLines(6);
        for (var i = 1; i <= 3; i++)
        {
            node.Appear(i, i, Pod(i));
        }
        node.Count(1, Counted.Sent(1, 1, 1));
        node.Count(2, Counted.Sent(2, 200, 2));
        node.Forget(1);
        node.Time.Advance(Retention);

        // The room of the first is given away by the next settling, and not before.
        node.Count(3, Counted.Sent(1, 1, 1));
        node.Pods.Settle();
        node.Count(3, Counted.Sent(1000, 1_000_000, 1000));

        var scrape = await node.ScrapeAsync();
        Assert.Equal((true, false), (scrape.Has(Transmitted, Pod(2), "tcp"), scrape.Has(Transmitted, Pod(3), "tcp")));
    }

    [Fact]
    public async Task A_pod_has_only_the_lines_of_what_it_has_counted()
    {
        var node = NodeWithLines(2 * 6);
        node.Join(1, Pod(1));
        node.Join(2, Pod(2));

        node.Count(1, Counted.Sent(1, 100, 1));
        node.Count(2, Counted.Delivered(1, 70, 1, Transport.Udp));

        var scrape = await node.ScrapeAsync();
        Assert.Equal((6, 6), (scrape.CountSamplesOf(Pod(1)), scrape.CountSamplesOf(Pod(2))));
        Assert.Equal((100, 0), (scrape.Of(Transmitted, Pod(1), "tcp"), scrape.Of("podnet_receive_bytes_total", Pod(1), "tcp")));
        Assert.Equal((0, 70), (scrape.Of(Transmitted, Pod(2), "udp"), scrape.Of("podnet_receive_bytes_total", Pod(2), "udp")));
        Assert.Equal(12, node.Pods.Lines);
    }

    [Fact]
    public async Task Each_reason_of_failure_has_a_line_of_its_own()
    {
        var node = NodeWithLines(3);
        node.Join(1, Pod(1));

        node.Count(1ul, Counted.Handshakes(Counted.Failed(HandshakeFailure.Refused), Counted.Both(Counted.Failed(HandshakeFailure.Refused), Counted.Failed(HandshakeFailure.TimedOut))));

        var scrape = await node.ScrapeAsync();
        Assert.Equal((3, 3), (scrape.CountSamplesOf(Pod(1)), node.Pods.Lines));
        Assert.True(scrape.HasFailures(Pod(1), "server", "timed_out"));
        Assert.False(scrape.HasFailures(Pod(1), "client", "timed_out"));
    }

    [Fact]
    public async Task What_has_no_room_is_counted_with_the_others_while_the_pod_keeps_all_else()
    {
        var node = NodeWithLines(6);
        node.Appear(1, 1, Pod(1));
        node.Count(1, Counted.Sent(1, 100, 1));

        node.Count(1, Counted.Both(Counted.Sent(1, 20, 1), Counted.Sent(1, 3, 1, Transport.Udp)));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(120, scrape.Of(Transmitted, Pod(1), "tcp"));
        Assert.False(scrape.Has(Transmitted, Pod(1), "udp"));
        Assert.Equal(3, scrape.Of(Transmitted, Others, "udp"));
        Assert.False(scrape.Has(Transmitted, Others, "tcp"));
        Assert.Equal(["udp"], node.Table.Current[1].Counts!.FindFolded());
    }

    [Fact]
    public async Task What_does_not_fit_does_not_stop_something_smaller_of_another_kind()
    {
        var node = NodeWithLines(6);
        node.Join(1, Pod(1));
        node.Join(2, Pod(2));
        node.Join(3, Pod(3));
        node.Count(1, Counted.Sent(1, 100, 1));
        node.Count(2, new TrafficValue { Transmit = Counted.Sizes((9, 9_000_000)) });
        node.Count(3ul, Counted.Handshakes(Counted.Failed(HandshakeFailure.Refused)));

        Leave(node, 1);

        // Sizes need 20 lines, and 12 are free.
        var scrape = await node.ScrapeAsync();
        Assert.Equal((0, 1), (scrape.CountSamplesOf(Pod(2)), scrape.CountSamplesOf(Pod(3))));
        Assert.Equal((1, 0), (Folded(scrape, "packet_sizes"), Folded(scrape, "client_failures")));
    }

    [Fact]
    public async Task What_gets_room_is_there_at_zero_before_it_counts_again()
    {
        var node = Node(pods: 1);
        node.Appear(1, 1, Pod(1));
        node.Appear(2, 2, Pod(2));
        node.Count(1, Counted.Sent(1, 1, 1));
        node.Count(2, Counted.Sent(5, 500, 5));

        Leave(node, 1);

        var scrape = await node.ScrapeCommittedAsync();
        Assert.Equal((6, 0), (scrape.CountSamplesOf(Pod(2)), scrape.Of(Transmitted, Pod(2), "tcp")));
    }

    [Fact]
    public async Task Of_the_namespaces_share_pods_that_wait_have_what_their_others_do_not_need()
    {
        var node = Node(pods: 2, namespaces: 0, spare: 0);
        var lines = node.Options.CreatePlan();
        for (var i = 1; i <= 100; i++)
        {
            node.Appear(i, i, Pod(i));
            node.Count(i, Counted.Sent(1, 100, 1));
        }
        Assert.Equal(6 * ((lines.PodLines / 6) + 1), node.Pods.Lines);

        node.Pods.Settle();

        Assert.InRange(node.Pods.Lines, lines.PodLines + lines.NamespaceLines - 5, lines.PodLines + lines.NamespaceLines);
        var scrape = await node.ScrapeAsync();
        Assert.Equal(100 * 100, scrape.Samples.Where(sample => sample.StartsWith(Transmitted, StringComparison.Ordinal)).Sum(sample => scrape[sample]));
    }

    [Fact]
    public async Task A_pod_that_is_gone_keeps_its_lines_for_the_retention()
    {
        var node = NodeWithLines(6);
        node.Appear(1, 1, Pod(1));
        node.Appear(2, 2, Pod(2));
        node.Count(1, Counted.Sent(1, 100, 1));

        node.Forget(1);
        node.Count(2, Counted.Sent(1, 7, 1));
        node.Time.Advance(Retention - TimeSpan.FromTicks(1));
        node.Pods.Settle();

        Assert.Equal(["tcp"], node.Table.Current[2].Counts!.FindFolded());
        Assert.Equal(100, (await node.ScrapeAsync()).Of(Transmitted, Pod(1), "tcp"));
    }

    [Fact]
    public async Task A_pod_that_comes_back_within_the_retention_has_its_lines_still()
    {
        var node = NodeWithLines(6);
        node.Appear(1, 1, Pod(1));
        node.Count(1, Counted.Sent(1, 100, 1));
        node.Forget(1);
        node.Appear(2, 2, Pod(2));
        node.Count(2, Counted.Sent(1, 7, 1));
        node.Pods.Settle();

        node.Appear(3, 3, Pod(1));
        node.Count(3, Counted.Sent(1, 10, 1));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(110, scrape.Of(Transmitted, Pod(1), "tcp"));
        Assert.Equal(7, scrape.Of(Transmitted, Others, "tcp"));
        Assert.Equal(0, scrape["podnet_exporter_retired_bytes_total{direction=\"transmit\"}"]);
    }

    [Fact]
    public async Task A_pod_that_leaves_while_it_waits_is_forgotten_and_what_it_counted_is_not()
    {
        var node = Node(pods: 1);
        node.Appear(1, 1, Pod(1));
        node.Appear(2, 2, Pod(2));
        node.Appear(3, 3, Pod(3));
        node.Count(1, Counted.Sent(1, 1, 1));
        node.Count(2, Counted.Sent(5, 500, 5));
        node.Count(3, Counted.Sent(1, 20, 1));

        node.Forget(2);
        node.Pods.Settle();
        Assert.Equal(1, Folded(await node.ScrapeAsync(), "tcp"));
        Leave(node, 1);

        var scrape = await node.ScrapeAsync();
        Assert.Equal(0, Folded(scrape, "tcp"));
        Assert.Equal(520, scrape.Of(Transmitted, Others, "tcp"));
        Assert.Equal((true, false), (scrape.Has(Transmitted, Pod(3), "tcp"), scrape.Has(Transmitted, Pod(2), "tcp")));
    }

    [Fact]
    public async Task The_others_of_a_namespace_stay_for_the_retention_after_the_last_of_them()
    {
        var node = Node(pods: 1);
        node.Appear(1, 1, Pod(1));
        node.Appear(2, 2, Pod(2));
        node.Count(1, Counted.Sent(1, 1, 1));
        node.Count(2, Counted.Sent(5, 500, 5));
        Leave(node, 1);

        node.Time.Advance(Retention - TimeSpan.FromTicks(1));
        node.Pods.Settle();
        Assert.Equal(500, (await node.ScrapeAsync()).Of(Transmitted, Others, "tcp"));

        node.Time.Advance(TimeSpan.FromTicks(1));
        node.Pods.Settle();
        Assert.Equal(0, (await node.ScrapeAsync()).CountSamplesOf(Others));
    }

    [Fact]
    public async Task The_room_of_a_namespaces_others_is_free_when_they_have_left()
    {
        var node = Node(pods: 0, namespaces: 1);
        node.Join(1, new("first", "web"));
        node.CountEverything(1);
        node.Appear(2, 2, new("second", "web"));
        node.Count(2, Counted.Sent(1, 7, 1));
        node.Leave(1);
        node.Pods.Settle();
        node.Time.Advance(Retention);
        node.Pods.Settle();

        node.Count(2, Counted.Sent(1, 100, 1));

        var scrape = await node.ScrapeAsync();
        Assert.Equal((100, 7), (scrape.Of(Transmitted, new("second", "__other__"), "tcp"), scrape.Of(Transmitted, OthersOfAll, "tcp")));
    }

    [Fact]
    public async Task A_namespaces_others_that_come_back_within_the_retention_have_their_lines_still()
    {
        var node = Node(pods: 0, namespaces: 1);
        node.Join(1, new("first", "web"));
        node.CountEverything(1);
        node.Leave(1);
        node.Pods.Settle();
        node.Appear(2, 2, new("second", "web"));
        node.Count(2, Counted.Sent(1, 7, 1));

        node.Appear(3, 3, new("first", "web"));
        node.Count(3, Counted.Sent(1, 10, 1));

        var scrape = await node.ScrapeAsync();
        Assert.Equal(110, scrape.Of(Transmitted, new("first", "__other__"), "tcp"));
        Assert.Equal(7, scrape.Of(Transmitted, OthersOfAll, "tcp"));
    }

    [Fact]
    public async Task What_is_folded_is_told()
    {
        var node = Node(pods: 1);
        node.Join(1, Pod(1));
        node.Join(2, Pod(2));
        node.Join(3, new("bank", "web"));
        node.Pods.Settle();

        node.Count(1, Counted.Sent(1, 1, 1));
        node.Count(2, Counted.Both(Counted.Sent(3, 400, 3), Counted.Delivered(5, 600, 5)));
        node.Count(3, Counted.Sent(7, 8000, 7));
        node.Count(2ul, Counted.Handshakes(Counted.Completed([1_000_000_000], 5), Counted.Both(Counted.Failed(HandshakeFailure.Refused, 2), Counted.Resent(9))));
        node.Count(1ul, Counted.Handshakes(Counted.Completed([1_000_000_000], 5)));
        node.Pods.Settle();

        var scrape = await node.ScrapeAsync();
        Assert.Equal((2, 1, 1, 0, 1), (Folded(scrape, "tcp"), Folded(scrape, "client"), Folded(scrape, "server"), Folded(scrape, "client_failures"), Folded(scrape, "server_failures")));
        Assert.Equal(node.Options.Metrics.MaxSeries, scrape["podnet_exporter_series_limit"]);
        Assert.Equal(scrape.CountPodSamples(), scrape["podnet_exporter_series"]);
        Assert.Equal((10, 5), (scrape["podnet_exporter_folded_packets_total{direction=\"transmit\"}"], scrape["podnet_exporter_folded_packets_total{direction=\"receive\"}"]));
        Assert.Equal((8400, 600), (scrape["podnet_exporter_folded_bytes_total{direction=\"transmit\"}"], scrape["podnet_exporter_folded_bytes_total{direction=\"receive\"}"]));
        Assert.Equal((1, 2), (scrape["podnet_exporter_folded_handshakes_total{role=\"client\"}"], scrape["podnet_exporter_folded_handshakes_total{role=\"server\"}"]));
        Assert.Equal(["", "tcp,client,server,server_failures", "tcp"], ((int[])[1, 2, 3]).Select(i => string.Join(',', node.Table.Current[i].Counts!.FindFolded())));
    }

    [Fact]
    public async Task What_was_in_series_that_have_left_is_in_a_total()
    {
        var node = Node(pods: 1);
        node.Join(1, Pod(1));
        node.Join(2, Pod(2));
        node.Count(1, Counted.Both(Counted.Sent(3, 400, 3), Counted.Delivered(5, 600, 5, Transport.Sctp)));
        node.Count(1ul, Counted.Handshakes(Counted.Both(Counted.Completed([1_000_000_000], 5, 6), Counted.Failed(HandshakeFailure.Reset)), Counted.Completed([1_000_000_000], 5)));
        node.Count(2, Counted.Sent(1, 70, 1));
        Assert.Equal(0, (await node.ScrapeAsync())["podnet_exporter_retired_bytes_total{direction=\"transmit\"}"]);

        // The others of its namespace stay, and their last has gone to series of its own.
        Leave(node, 1);

        var scrape = await node.ScrapeAsync();
        Assert.Equal((3, 5), (scrape["podnet_exporter_retired_packets_total{direction=\"transmit\"}"], scrape["podnet_exporter_retired_packets_total{direction=\"receive\"}"]));
        Assert.Equal((400, 600), (scrape["podnet_exporter_retired_bytes_total{direction=\"transmit\"}"], scrape["podnet_exporter_retired_bytes_total{direction=\"receive\"}"]));
        Assert.Equal((3, 1), (scrape["podnet_exporter_retired_handshakes_total{role=\"client\"}"], scrape["podnet_exporter_retired_handshakes_total{role=\"server\"}"]));

        node.Time.Advance(Retention);
        node.Pods.Settle();
        Assert.Equal(470, (await node.ScrapeAsync())["podnet_exporter_retired_bytes_total{direction=\"transmit\"}"]);
    }

    [Fact]
    public void The_log_has_a_line_when_folding_begins_and_one_when_it_ends()
    {
        var node = Node(pods: 1);
        for (var i = 1; i <= 3; i++)
        {
            node.Appear(i, i, Pod(i));
        }
        node.Count(1, Counted.Sent(1, 1, 1));
        node.Pods.Settle();
        Assert.Empty(node.Logger.Entries);

        node.Count(2, Counted.Sent(1, 1, 1));
        node.Pods.Settle();
        node.Count(3, Counted.Sent(1, 1, 1));
        node.Pods.Settle();
        var entry = Assert.Single(node.Logger.Entries);
        Assert.Equal(LogLevel.Warning, entry.Level);
        Assert.StartsWith("Series budget exhausted: 1 ", entry.Text, StringComparison.Ordinal);
        Assert.Contains("Metrics:MaxSeries", entry.Text, StringComparison.Ordinal);

        node.Forget(2);
        node.Forget(3);
        node.Pods.Settle();
        node.Pods.Settle();

        Assert.Equal([LogLevel.Warning, LogLevel.Information], node.Logger.Entries.Select(line => line.Level));
    }

    [Fact]
    public async Task The_lines_of_a_plan_are_those_of_a_pod_that_has_counted_everything()
    {
        var node = Node(pods: 2);
        var lines = Assert.Single(node.Options.CreatePlan().Levels).Lines;
        node.Join(1, Pod(1));
        node.Join(2, Pod(2));
        node.Join(3, Pod(3));

        foreach (var i in (int[])[1, 2, 3])
        {
            node.CountEverything(i);
        }

        var scrape = await node.ScrapeAsync();
        Assert.All([Pod(1), Pod(2), Others], pod => Assert.Equal(lines, scrape.CountSamplesOf(pod)));
        Assert.Equal(0, scrape.CountSamplesOf(Pod(3)));
    }

    [Fact]
    public void Adding_and_settling_allocate_nothing_once_every_block_has_been_counted()
    {
        var node = Node(pods: 2, namespaces: 1);
        var accounts = Enumerable.Range(1, 6).Select(i => node.Acquire(new($"ns{i % 2}", $"web-{i}"))).ToList();
        var traffic = Counted.Both(Counted.Both(Counted.Sent(1, 100, 1), Counted.Delivered(1, 100, 1, Transport.Udp)), new() { Receive = Counted.Sizes((1, 60)) });
        Round();

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
        {
            Round();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Round()
        {
            foreach (var account in accounts)
            {
                account.Add(traffic);
            }
            node.Pods.Settle();
        }
    }

    [Fact]
    public async Task A_budget_that_is_used_to_the_full_is_kept()
    {
        var node = Node(pods: 20, namespaces: 2);
        var plan = node.Options.CreatePlan();
        var lines = plan.Levels[0].Lines;
        node.JoinHost(77);
        node.Count(77ul, Counted.Everything);
        for (var i = 1; i <= 100; i++)
        {
            node.Join((ulong)i, new($"ns{i}", "web"));
            node.CountEverything(i);
        }

        var samples = (await node.ScrapeAsync()).CountPodSamples();
        Assert.Equal(plan.FixedLines + (20 * lines) + (2 * lines), samples);
        Assert.True(samples <= plan.MaxSeries);
    }

    /// <summary>With room for so many pods, and for the others of so many namespaces.</summary>
    /// <param name="spare">Lines for pods, beyond that.</param>
    private CountingNode Node(int pods, int namespaces = 3, int? spare = null, params ReadOnlySpan<(string, string?)> settings)
    {
        (string, string?)[] all = [("Metrics:Retention", "00:02:00"), ("Handshake:Buckets", "1"), .. settings];
        var lines = TestOptions.Read(all).CreatePlan();
        // The least budget with that many: a sixteenth is for namespaces.
        var budget = Enumerable.Range(lines.FixedLines, 1_000_000).First(max =>
        {
            var plan = lines with { MaxSeries = max };
            return plan.NamespaceLines / plan.Levels[0].Lines >= namespaces && plan.PodLines >= (pods * plan.Levels[0].Lines) + (spare ?? 0);
        });
        var exact = lines with { MaxSeries = budget };
        var node = new CountingNode(exact with { MaxPods = spare is null ? Math.Min(pods, lines.MaxPods) : lines.MaxPods }, [.. all, ("Metrics:MaxSeries", $"{budget}")]);
        _nodes.Add(node);
        return node;
    }

    /// <summary>With so many lines for pods that have not waited, and some more that waiting ones and the others of a namespace share.</summary>
    private CountingNode NodeWithLines(int lines)
    {
        (string, string?)[] settings = [("Metrics:Retention", "00:02:00"), ("Handshake:Buckets", "1")];
        var plan = TestOptions.Read(settings).CreatePlan();
        var budget = Enumerable.Range(plan.FixedLines, 1000).First(max => (plan with { MaxSeries = max }).PodLines == lines);
        var node = new CountingNode([.. settings, ("Metrics:MaxSeries", $"{budget}")]);
        _nodes.Add(node);
        return node;
    }

    private static double Folded(ScrapedText scrape, string block) => scrape[$"podnet_exporter_series_folded{{block=\"{block}\"}}"];

    private static PodName Pod(int number) => new("shop", $"web-{number}");

    /// <summary>It is gone for longer than the retention.</summary>
    private static void Leave(CountingNode node, int ifindex)
    {
        node.Forget(ifindex);
        node.Time.Advance(Retention);
        node.Pods.Settle();
    }
}
