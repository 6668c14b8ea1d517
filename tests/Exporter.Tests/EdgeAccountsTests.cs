using Exporter.Bpf;
using Exporter.Edges;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;

namespace Exporter.Tests;

/// <summary>Who talks to whom: which edges have series, where the others are counted, and what stays of them.</summary>
public sealed class EdgeAccountsTests
{
    private const string Sent = "podnet_edge_transmit_bytes_total";

    /// <summary>The lines of an edge, and of the two edges that an owner has room for.</summary>
    private const int EdgeLines = 8;
    private const int PlaceLines = 12;

    private static readonly TimeSpan Retention = TimeSpan.FromMinutes(2);
    private static readonly EdgeKey ToDatabase = new("shop", "web", "Deployment", "service", "data", "db");
    private static readonly EdgeKey ToInternet = new("shop", "web", "Deployment", "class", "", "internet");

    private readonly EdgeNode _node = new([("Edges:Level", "workload")]);

    [Fact]
    public void The_text_format_has_each_family_once_and_edges_in_the_order_of_their_labels()
    {
        CountSome();

        Assert.Equal(
            """
            # HELP podnet_edge_transmit_bytes_total Bytes sent by the pods to the peer, Ethernet headers included, as their interfaces count them.
            # TYPE podnet_edge_transmit_bytes_total counter
            podnet_edge_transmit_bytes_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="__unrecorded__",peer_namespace="",peer="__unrecorded__"} 7
            podnet_edge_transmit_bytes_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="class",peer_namespace="",peer="a\"b\\c"} 18446744073709551615
            podnet_edge_transmit_bytes_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="service",peer_namespace="data",peer="db"} 100
            # HELP podnet_edge_receive_bytes_total Bytes delivered to the pods from the peer, Ethernet headers included, as their interfaces count them.
            # TYPE podnet_edge_receive_bytes_total counter
            podnet_edge_receive_bytes_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="__unrecorded__",peer_namespace="",peer="__unrecorded__"} 14
            podnet_edge_receive_bytes_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="class",peer_namespace="",peer="a\"b\\c"} 0
            podnet_edge_receive_bytes_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="service",peer_namespace="data",peer="db"} 200
            # HELP podnet_edge_transmit_packets_total Packets sent by the pods to the peer as their interfaces count them: one may stand for many on the wire.
            # TYPE podnet_edge_transmit_packets_total counter
            podnet_edge_transmit_packets_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="__unrecorded__",peer_namespace="",peer="__unrecorded__"} 7
            podnet_edge_transmit_packets_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="class",peer_namespace="",peer="a\"b\\c"} 3
            podnet_edge_transmit_packets_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="service",peer_namespace="data",peer="db"} 4
            # HELP podnet_edge_receive_packets_total Packets delivered to the pods from the peer as their interfaces count them: one may stand for many on the wire.
            # TYPE podnet_edge_receive_packets_total counter
            podnet_edge_receive_packets_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="__unrecorded__",peer_namespace="",peer="__unrecorded__"} 7
            podnet_edge_receive_packets_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="class",peer_namespace="",peer="a\"b\\c"} 0
            podnet_edge_receive_packets_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="service",peer_namespace="data",peer="db"} 5
            # HELP podnet_edge_connections_total Connections between the pods and the peer that have begun, by the pods' role.
            # TYPE podnet_edge_connections_total counter
            podnet_edge_connections_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="class",peer_namespace="",peer="a\"b\\c",role="client"} 0
            podnet_edge_connections_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="class",peer_namespace="",peer="a\"b\\c",role="server"} 0
            podnet_edge_connections_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="service",peer_namespace="data",peer="db",role="client"} 2
            podnet_edge_connections_total{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="service",peer_namespace="data",peer="db",role="server"} 1
            # HELP podnet_edge_tcp_rtt_seconds Smoothed round-trip times of the TCP connections between the pods and the peer, one for each connection and interval that has one.
            # TYPE podnet_edge_tcp_rtt_seconds summary
            podnet_edge_tcp_rtt_seconds_sum{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="class",peer_namespace="",peer="a\"b\\c"} 0
            podnet_edge_tcp_rtt_seconds_count{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="class",peer_namespace="",peer="a\"b\\c"} 0
            podnet_edge_tcp_rtt_seconds_sum{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="service",peer_namespace="data",peer="db"} 1.00088
            podnet_edge_tcp_rtt_seconds_count{namespace="shop",workload="web",workload_kind="Deployment",peer_kind="service",peer_namespace="data",peer="db"} 3

            """,
            _node.Write());
    }

    [Fact]
    public void OpenMetrics_names_counters_without_their_suffix_and_the_summary_as_its_samples_begin()
    {
        CountSome();

        var text = _node.Write(Exposition.ExpositionFormat.OpenMetrics);

        const string Labels = "namespace=\"shop\",workload=\"web\",workload_kind=\"Deployment\",peer_kind=\"service\",peer_namespace=\"data\",peer=\"db\"";
        Assert.Contains("# TYPE podnet_edge_transmit_bytes counter\npodnet_edge_transmit_bytes_total{", text, StringComparison.Ordinal);
        Assert.Contains($"podnet_edge_connections_total{{{Labels},role=\"client\"}} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("# TYPE podnet_edge_tcp_rtt_seconds summary\npodnet_edge_tcp_rtt_seconds_sum{", text, StringComparison.Ordinal);
        Assert.EndsWith($"podnet_edge_tcp_rtt_seconds_sum{{{Labels}}} 1.00088\npodnet_edge_tcp_rtt_seconds_count{{{Labels}}} 3\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("# EOF", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_are_shown_when_they_are_committed_and_lines_are_among_the_pods()
    {
        _node.Add(ToDatabase, EdgeNode.RowOf(5));
        Assert.Equal(0, (await _node.ScrapeAsync())[Name(Sent, ToDatabase)]);

        _node.Commit();
        _node.Settle();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(5, scrape[Name(Sent, ToDatabase)]);
        Assert.Equal(EdgeLines, scrape["podnet_exporter_series"]);
        Assert.Equal(1, scrape["podnet_exporter_edges"]);
        Assert.Equal(0, scrape["podnet_exporter_edges_folded"]);
    }

    [Fact]
    public async Task Edges_without_room_are_counted_as_their_workloads_others()
    {
        var node = WithLines(PlaceLines + PlaceLines + (2 * EdgeLines));
        for (var peer = 0; peer < 5; peer++)
        {
            node.Count(PeerOf(ToDatabase, peer), 10);
        }
        node.Settle();

        var scrape = await node.ScrapeAsync();
        Assert.Equal([10, 10], [scrape[Name(Sent, PeerOf(ToDatabase, 0))], scrape[Name(Sent, PeerOf(ToDatabase, 1))]]);
        Assert.Equal(30, scrape[Name(Sent, ToDatabase.ToOther)]);
        Assert.Equal((2, 3), (scrape["podnet_exporter_edges"], scrape["podnet_exporter_edges_folded"]));
        Assert.Equal(1, node.Logger.CountOf("The series of edges are used up: 3 edges"));

        node.Pass(Retention);

        Assert.Equal(0, (await node.ScrapeAsync())["podnet_exporter_edges_folded"]);
        Assert.Equal(1, node.Logger.CountOf("The series of edges have room for all again"));
    }

    [Fact]
    public async Task A_workload_without_a_place_is_counted_in_its_namespace_and_where_that_has_none_in_the_node()
    {
        // One workload with an edge, and one more place.
        var node = WithLines((3 * PlaceLines) + EdgeLines);
        var (second, third) = (ToDatabase with { Namespace = "bank", Workload = "vault" }, ToDatabase with { Namespace = "mail" });
        node.Count(ToDatabase, 1);
        node.Count(second, 2);
        node.Count(second.ToUnrecorded, 4);
        node.Count(third, 8);
        node.Count(third.ToUnrecorded, 16);

        var scrape = await node.ScrapeAsync();
        var all = new EdgeKey("__other__", "__other__", "__other__", "", "", "");
        Assert.Equal(1, scrape[Name(Sent, ToDatabase)]);
        Assert.Equal((2, 4), (scrape[Name(Sent, second.ToOther)], scrape[Name(Sent, second.ToUnrecorded)]));
        Assert.Equal((8, 16), (scrape[Name(Sent, all.ToOther)], scrape[Name(Sent, all.ToUnrecorded)]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Workloads_with_few_peers_are_whole_beside_one_with_ten_thousand(bool isFloodFirst)
    {
        const int Peers = 10_000, Few = 3, Lines = 500;
        var node = WithLines(Lines);
        EdgeKey[] others = [.. Enumerable.Range(0, 5).Select(number => ToDatabase with { Workload = $"quiet-{number}" })];
        for (var round = 0; round < 3; round++)
        {
            Action[] both = [Flood, CountFew];
            Array.ForEach(isFloodFirst ? both : [.. both.Reverse()], count => count());
            node.Settle();
        }

        var scrape = await node.ScrapeAsync();
        var (whole, shown) = (3, (Lines - (7 * PlaceLines)) / EdgeLines);
        foreach (var other in others)
        {
            Assert.All(Enumerable.Range(0, Few), peer => Assert.Equal(whole, scrape[Name(Sent, PeerOf(other, peer))]));
            Assert.False(scrape.Has(Name(Sent, other.ToOther)));
        }
        Assert.Equal((shown, Peers - (shown - (others.Length * Few))), (scrape["podnet_exporter_edges"], scrape["podnet_exporter_edges_folded"]));
        Assert.Equal(3 * Peers, SumOf(scrape, ToDatabase) + scrape["podnet_exporter_retired_edge_bytes_total{direction=\"transmit\"}"]);

        void Flood()
        {
            for (var peer = 0; peer < Peers; peer++)
            {
                node.Add(PeerOf(ToDatabase, peer), EdgeNode.RowOf(1));
            }
            node.Commit();
        }

        void CountFew()
        {
            foreach (var other in others)
            {
                for (var peer = 0; peer < Few; peer++)
                {
                    node.Count(PeerOf(other, peer), 1);
                }
            }
        }
    }

    [Fact]
    public async Task Peers_beyond_those_that_are_known_are_counted_as_others_and_another_workload_still_gets_its_edges()
    {
        const int Peers = 20_000;
        var node = WithLines(200);
        for (var peer = 0; peer < Peers; peer++)
        {
            node.Add(PeerOf(ToDatabase, peer), EdgeNode.RowOf(1));
        }
        node.Commit();
        var quiet = ToDatabase with { Workload = "quiet" };
        node.Count(quiet, 3);
        node.Settle();

        var scrape = await node.ScrapeAsync();
        Assert.Equal(3, scrape[Name(Sent, quiet)]);
        Assert.Equal(Peers, SumOf(scrape, ToDatabase) + scrape["podnet_exporter_retired_edge_bytes_total{direction=\"transmit\"}"]);
        Assert.InRange(scrape["podnet_exporter_edges_folded"], 16_000, 16_384 + (200 / EdgeLines));
    }

    [Fact]
    public async Task An_edge_that_gave_up_its_series_gets_others_after_the_retention_only()
    {
        var node = WithLines(PlaceLines + PlaceLines + (3 * EdgeLines) + 4);
        var (first, last) = (PeerOf(ToDatabase, 0), PeerOf(ToDatabase, 2));
        var quiet = ToDatabase with { Workload = "quiet" };
        node.Count(first, 1);
        node.Count(PeerOf(ToDatabase, 1), 1);
        node.Count(last, 1);
        node.Time.Advance(TimeSpan.FromSeconds(1));
        node.Count(first, 1);

        // A place and an edge: two of three edges, first those that are unused for longest, of these the last first.
        node.Count(quiet, 4);
        node.Count(last, 10);

        var scrape = await node.ScrapeAsync();
        Assert.Equal((2, 4, 10), (scrape[Name(Sent, first)], scrape[Name(Sent, quiet)], scrape[Name(Sent, ToDatabase.ToOther)]));
        Assert.False(scrape.Has(Name(Sent, last)));
        Assert.Equal(2, scrape["podnet_exporter_retired_edge_bytes_total{direction=\"transmit\"}"]);

        // The other workload's edge leaves, and the one that has waited for the retention begins at zero.
        node.Pass(Retention - TimeSpan.FromSeconds(1));
        node.Count(last, 20);
        Assert.False((await node.ScrapeAsync()).Has(Name(Sent, last)));
        node.Pass(TimeSpan.FromSeconds(1));
        node.Count(last, 30);
        Assert.Equal(30, (await node.ScrapeAsync())[Name(Sent, last)]);
    }

    [Fact]
    public async Task Lines_of_a_workload_that_is_gone_go_to_edges_that_wait_which_begin_at_zero()
    {
        // One place and one edge.
        var node = WithLines(PlaceLines + PlaceLines + EdgeLines);
        var waiting = ToDatabase with { Namespace = "bank" };
        node.Count(ToDatabase, 1);
        node.Time.Advance(Retention - TimeSpan.FromSeconds(1));
        node.Count(waiting, 2);
        Assert.False((await node.ScrapeAsync()).Has(Name(Sent, waiting)));

        node.Pass(TimeSpan.FromSeconds(1));

        Assert.Equal(0, (await node.ScrapeAsync())[Name(Sent, waiting)]);
        node.Count(waiting, 4);
        node.Settle();
        var scrape = await node.ScrapeAsync();
        Assert.Equal(4, scrape[Name(Sent, waiting)]);
        Assert.Equal(0, scrape["podnet_exporter_edges_folded"]);
    }

    [Fact]
    public async Task An_unused_edge_leaves_after_the_retention_with_its_counts_and_a_handle_of_it_begins_at_zero()
    {
        Edge edge;
        lock (_node.Ledger.Lock)
        {
            edge = _node.Edges.Acquire(ToDatabase);
            _node.Edges.Add(edge, RowFields.RowOf(EdgeNode.RowOf(5)));
            _node.Ledger.Commit();
        }
        _node.Pass(Retention - TimeSpan.FromTicks(1));
        Assert.True((await _node.ScrapeAsync()).Has(Name(Sent, ToDatabase)));

        _node.Pass(TimeSpan.FromTicks(1));

        var scrape = await _node.ScrapeAsync();
        Assert.False(scrape.Has(Name(Sent, ToDatabase)));
        Assert.Equal((5, 10), (scrape["podnet_exporter_retired_edge_bytes_total{direction=\"transmit\"}"], scrape["podnet_exporter_retired_edge_bytes_total{direction=\"receive\"}"]));
        Assert.Equal((0, 0), (scrape["podnet_exporter_edges"], scrape["podnet_exporter_series"]));
        lock (_node.Ledger.Lock)
        {
            _node.Edges.Add(edge, RowFields.RowOf(EdgeNode.RowOf(3)));
            _node.Ledger.Commit();
        }
        Assert.Equal(3, (await _node.ScrapeAsync())[Name(Sent, ToDatabase)]);
        Assert.Empty(_node.StartAgain(("Edges:Level", "workload")).Ledger.FindRestored(State.RecordKind.Edge));
    }

    [Fact]
    public void A_restart_continues_with_what_was_committed()
    {
        CountSome();
        _node.Count(new(new('n', 63), new('w', 253), "StatefulSet", "service", new('m', 63), new('p', 253)), 1);
        var before = _node.Write();
        _node.Add(ToDatabase, EdgeNode.RowOf(1000));

        var next = _node.StartAgain(("Edges:Level", "workload"));

        Assert.Equal(before, next.Write());
        next.Count(ToDatabase, 1);
        Assert.Contains("peer=\"db\"} 101\n", next.Write(), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_session_of_the_process_continues_as_well()
    {
        CountSome();
        var before = _node.Write();
        _node.Add(ToDatabase, EdgeNode.RowOf(1000));

        _node.Ledger.Restart();
        _node.StartSession();

        Assert.Equal(before, _node.StartAgain(("Edges:Level", "workload")).Write());
    }

    [Fact]
    public async Task At_the_level_of_namespaces_workloads_are_together_without_labels()
    {
        var node = new EdgeNode([("Edges:Level", "namespace")]);
        node.Count(ToDatabase, 1);
        node.Count(ToDatabase with { Workload = "api" }, 2);
        node.Count(EdgeKey.UnrecordedOf("shop", "api", "Deployment"), 4);

        var scrape = await node.ScrapeAsync();
        Assert.Equal(3, scrape[$"{Sent}{{namespace=\"shop\",peer_kind=\"service\",peer_namespace=\"data\",peer=\"db\"}}"]);
        Assert.Equal(4, scrape[$"{Sent}{{namespace=\"shop\",peer_kind=\"__unrecorded__\",peer_namespace=\"\",peer=\"__unrecorded__\"}}"]);
    }

    [Theory]
    [InlineData("off")]
    [InlineData("namespace")]
    public async Task With_another_level_the_counts_of_the_previous_one_are_retired(string level)
    {
        CountSome();

        var next = _node.StartAgain(("Edges:Level", level));

        var scrape = await next.ScrapeAsync();
        Assert.DoesNotContain(scrape.Samples, sample => sample.StartsWith("podnet_edge_", StringComparison.Ordinal));
        Assert.Equal(214, scrape["podnet_exporter_retired_edge_bytes_total{direction=\"receive\"}"]);
        Assert.Equal((2, 1), (scrape["podnet_exporter_retired_edge_connections_total{role=\"client\"}"], scrape["podnet_exporter_retired_edge_connections_total{role=\"server\"}"]));
        Assert.DoesNotContain(next.Ledger.Restored, entry => entry.Kind == State.RecordKind.Edge);
        Assert.Equal(level == "off", next.Write().Length == 0);
    }

    [Fact]
    public async Task With_fewer_lines_the_counts_of_edges_without_room_are_retired()
    {
        for (var peer = 0; peer < 5; peer++)
        {
            _node.Count(PeerOf(ToDatabase, peer), 10);
        }

        var next = WithLines(PlaceLines + PlaceLines + (5 * EdgeLines) - 1, _node.Memory.Copy());

        var scrape = await next.ScrapeAsync();
        Assert.Equal(40, SumOf(scrape, ToDatabase));
        Assert.Equal(10, scrape["podnet_exporter_retired_edge_bytes_total{direction=\"transmit\"}"]);
    }

    [Fact]
    public async Task Values_that_cannot_be_shown_are_changed_and_found_again()
    {
        var wild = new EdgeKey("shop", "a\nb", "Deployment", "service", "data", "__other__");
        _node.Count(wild, 1);
        lock (_node.Ledger.Lock)
        {
            Assert.Same(_node.Edges.Acquire(wild), _node.Edges.Acquire(wild));
        }
        var next = _node.StartAgain(("Edges:Level", "workload"));
        next.Count(wild, 1);

        var sample = Assert.Single((await next.ScrapeAsync()).Samples, sample => sample.StartsWith(Sent, StringComparison.Ordinal));
        Assert.EndsWith("peer=\"___other__\"}", sample, StringComparison.Ordinal);
        Assert.Equal(2, (await next.ScrapeAsync())[sample]);
    }

    [Fact]
    public void More_than_half_of_the_budget_is_cut_with_one_line()
    {
        var node = new EdgeNode([("Edges:Level", "workload"), ("Metrics:MaxSeries", "3001")]);

        Assert.Equal(1500, node.EdgeOptions.LinesOf(3001));
        Assert.Equal((LogLevel.Warning, "Edges have 1500 sample lines instead of the 5000 of Edges:MaxSeries, half of Metrics:MaxSeries; raise Metrics:MaxSeries, or lower Edges:MaxSeries"), Assert.Single(node.Logger.Entries));
        Assert.Equal(3001 - 1500 - new EdgeNode([("Metrics:MaxSeries", "3001")]).Options.CreatePlan().FixedLines, (node.Options.CreatePlan() with { Beside = 1500 }) is var plan ? plan.PodLines + plan.NamespaceLines : 0);
    }

    [Fact]
    public void Options_say_what_is_wrong_with_them()
    {
        var reader = TestOptions.Reader(("Edges:Level", "pod"), ("Edges:MaxSeries", "63"));
        var options = EdgeOptions.Read(reader);

        Assert.Equal(
            ["Edges:Level: 'pod' is not one of off, workload, namespace.", "Edges:MaxSeries: '63' is not a whole number from 64 to 1000000."],
            reader.Errors);
        Assert.Equal((EdgeLevel.Off, 5000, 0), (options.Level, options.MaxSeries, options.LinesOf(30_000)));
    }

    [Fact]
    public void Adding_to_edges_that_are_known_allocates_nothing()
    {
        const int Flows = 5000;
        EdgeKey[] keys = [.. Enumerable.Range(0, Flows).Select(flow => PeerOf(ToDatabase with { Workload = $"web-{flow % 10}" }, flow / 4))];
        var edges = new Edge[Flows];
        var least = long.MaxValue;
        for (var round = 0; round < 20; round++)
        {
            lock (_node.Ledger.Lock)
            {
                var row = EdgeNode.RowOf(1);
                var before = GC.GetAllocatedBytesForCurrentThread();
                for (var flow = 0; flow < Flows; flow++)
                {
                    edges[flow] ??= _node.Edges.Acquire(keys[flow]);
                    _node.Edges.Add(edges[flow], RowFields.RowOf(row));
                    _node.Edges.Add(keys[flow], RowFields.RowOf(row));
                }
                _node.Edges.Settle();
                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
                _node.Ledger.Commit();
            }
        }

        Assert.Equal(0, least);
        Assert.Equal(20 * 2 * Flows, Enumerable.Range(0, 10).Sum(number => SumOf(ScrapedText.Parse(_node.Write()), ToDatabase with { Workload = $"web-{number}" })));
    }

    private static EdgeNode WithLines(int lines, KeptMemory? memory = null) => new([("Edges:Level", "workload")], memory, lines: lines);

    private static EdgeKey PeerOf(EdgeKey key, int number) => key with { Peer = $"{key.Peer}-{number}" };

    private static string Name(string family, EdgeKey key) =>
        $"{family}{{namespace=\"{key.Namespace}\",workload=\"{key.Workload}\",workload_kind=\"{key.WorkloadKind}\",peer_kind=\"{key.PeerKind}\",peer_namespace=\"{key.PeerNamespace}\",peer=\"{key.Peer}\"}}";

    /// <summary>Bytes that a workload has sent, over all its peers.</summary>
    private static double SumOf(ScrapedText scrape, EdgeKey key) =>
        scrape.Samples.Where(sample => sample.StartsWith($"{Sent}{{namespace=\"{key.Namespace}\",workload=\"{key.Workload}\",", StringComparison.Ordinal)).Sum(sample => scrape[sample]);

    private void CountSome()
    {
        _node.Count(
            ToDatabase,
            new EdgeRow { TransmitBytes = 100, TransmitPackets = 4, ReceiveBytes = 200, ReceivePackets = 5, ClientConnections = 2, ServerConnections = 1, RttSum = 1_000_880_000, RttCount = 3 });
        _node.Count(ToInternet with { Peer = "a\"b\\c" }, new EdgeRow { TransmitBytes = ulong.MaxValue, TransmitPackets = 3 });
        _node.Count(EdgeKey.UnrecordedOf("shop", "web", "Deployment"), 7);
    }
}
