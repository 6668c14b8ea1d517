using Exporter.Accounts;
using Exporter.Pods;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Which families there are at which level, what they cost, and how the budget is divided.</summary>
public sealed class SeriesPlanTests
{
    [Fact]
    public void By_default_a_node_full_of_pods_has_room()
    {
        var plan = Plan();

        // Bytes, packets and segments of five transports, sizes, and two roles with 18 bounds, 8 reasons and retransmits: both ways.
        Assert.Equal(2 * ((5 * 3) + 10 + 21 + 8 + 1), Assert.Single(plan.Levels).Lines);
        // The most that a kubelet is said to be good for.
        Assert.True(plan.Capacity >= 250);
    }

    [Theory]
    [InlineData("Metrics:Segments", 10)]
    [InlineData("Metrics:PacketSizes", 20)]
    [InlineData("Metrics:Handshakes", 60)]
    public void What_is_off_costs_nothing(string family, int lines) =>
        Assert.Equal(Plan().Levels[0].Lines - lines, Assert.Single(Plan((family, "off")).Levels).Lines);

    [Fact]
    public void Handshakes_that_are_not_seen_cost_nothing() => Assert.Equal(50, Assert.Single(Plan(("Handshake:Hook", "off")).Levels).Lines);

    [Fact]
    public void The_cost_is_that_of_the_buckets() => Assert.Equal(50 + (2 * (2 + 3 + 8 + 1)), Assert.Single(Plan(("Handshake:Buckets", "1;2")).Levels).Lines);

    [Fact]
    public void Families_can_be_at_levels_of_their_own()
    {
        var plan = Plan(("Metrics:PacketSizes", "workload"), ("Metrics:Handshakes", "namespace"), ("Metrics:Segments", "off"));

        Assert.Equal(
            [(SeriesLevel.Pod, 20), (SeriesLevel.Workload, 20), (SeriesLevel.Namespace, 60)],
            plan.Levels.Select(level => (level.Level, level.Lines)));
        // The others of all at each level, and the host.
        Assert.Equal(20 + 20 + 60 + 60, plan.FixedLines);
    }

    [Theory]
    [InlineData(170, 0, 0)]
    [InlineData(274, 17, 87)]
    [InlineData(30_000, 1875, 27_955)]
    public void The_budget_is_divided_without_rest(int budget, int namespaces, int pods)
    {
        var plan = Plan(("Metrics:MaxSeries", $"{budget}"));

        Assert.Equal((namespaces, pods), (plan.NamespaceLines, plan.PodLines));
        Assert.Equal(budget, plan.FixedLines + plan.NamespaceLines + plan.PodLines);
    }

    [Fact]
    public void A_budget_below_what_has_to_be_there_is_refused()
    {
        var error = Assert.Single(TestOptions.ErrorsOf(("Metrics:MaxSeries", "169")));

        Assert.StartsWith("Metrics:MaxSeries: '169' is less than the 170 sample lines", error, StringComparison.Ordinal);
        Assert.Empty(TestOptions.ErrorsOf(("Metrics:MaxSeries", "169"), ("Metrics:Segments", "off")));
        Assert.Empty(TestOptions.ErrorsOf(("Metrics:MaxSeries", "170")));
    }

    [Theory]
    [InlineData("Metrics:MaxSeries", "0")]
    [InlineData("Metrics:MaxSeries", "many")]
    [InlineData("Metrics:MaxPods", "-1")]
    [InlineData("Metrics:Aggregation", "node")]
    [InlineData("Metrics:Aggregation", "off")]
    [InlineData("Metrics:PacketSizes", "on")]
    [InlineData("Metrics:Segments", "")]
    [InlineData("Metrics:Handshakes", "none")]
    public void A_wrong_value_is_refused(string key, string value) => Assert.StartsWith($"{key}: '{value}' ", Assert.Single(TestOptions.ErrorsOf((key, value))), StringComparison.Ordinal);

    public static TheoryData<string, string, string> Labels => new()
    {
        { "pod", "namespace;pod", "namespace,pod" },
        { "workload", "namespace;pod", "namespace,workload,workload_kind" },
        { "namespace", "namespace;pod", "namespace" },
        { "workload", "node;pod;namespace;label:app", "node,workload,workload_kind,namespace,label_app" },
        { "workload", "namespace;pod;workload", "namespace,workload,workload_kind" },
        { "workload", "namespace", "namespace" },
        { "namespace", "pod;node;label:app;workload", "namespace,node" },
    };

    [Theory]
    [MemberData(nameof(Labels))]
    public void A_level_has_the_labels_that_its_pods_have_in_common(string level, string option, string labels)
    {
        var options = TestOptions.Read(("Metrics:Aggregation", level), ("Metrics:PodLabels", option));

        Assert.Equal(labels, string.Join(',', options.CreateLabels().At(options.Metrics.Aggregation).Names));
    }

    [Fact]
    public async Task Each_family_is_counted_at_its_level()
    {
        using var node = new CountingNode(
            ("Handshake:Buckets", "1"), ("Metrics:Segments", "off"), ("Metrics:PacketSizes", "workload"), ("Metrics:Handshakes", "namespace"));
        foreach (var name in (string[])["web-1", "web-2"])
        {
            var pod = node.Pods.Acquire(node.Labels.Identify(new("shop", name) { Workload = "web", WorkloadKind = "Deployment" }));
            pod.Add(Counted.Both(Counted.Sent(1, 100, 1), new() { Receive = Counted.Sizes((3, 180)) }));
            pod.Add(Counted.Handshakes(server: Counted.Completed([1_000_000_000], 7)));
        }

        var scrape = await node.ScrapeAsync();
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", new("shop", "web-1"), "tcp"));
        Assert.Equal(100, scrape.Of("podnet_transmit_bytes_total", new("shop", "web-2"), "tcp"));
        Assert.Equal(6, scrape["podnet_packet_size_bytes_count{namespace=\"shop\",workload=\"web\",workload_kind=\"Deployment\",direction=\"receive\"}"]);
        Assert.Equal(2, scrape["podnet_tcp_handshake_duration_seconds_count{namespace=\"shop\",role=\"server\"}"]);
        Assert.DoesNotContain(scrape.Samples, sample => sample.Contains("_segments_total", StringComparison.Ordinal));
        Assert.Equal(scrape.CountPodSamples(), node.Pods.Lines);
    }

    [Fact]
    public async Task The_host_is_shown_at_every_level_of_handshakes()
    {
        using var node = new CountingNode(("Handshake:Buckets", "1"), ("Metrics:Handshakes", "workload"));
        node.JoinHost(77);

        node.Count(77ul, Counted.Handshakes(Counted.Completed([1_000_000_000], 7)));

        Assert.Equal(1, (await node.ScrapeAsync())["podnet_tcp_handshake_duration_seconds_count{namespace=\"__host__\",workload=\"__host__\",workload_kind=\"\",role=\"client\"}"]);
    }

    [Fact]
    public async Task A_host_that_is_shown_as_pods_are_takes_none_of_their_traffic()
    {
        using var node = new CountingNode(("Handshake:Buckets", "1"), ("Metrics:PodLabels", "node"), ("Kubernetes:NodeName", "worker-1"));
        node.JoinHost(77);
        node.Appear(1, 1, new("shop", "web"));

        node.Count(1, Counted.Sent(1, 100, 1));

        Assert.Equal(100, (await node.ScrapeAsync())["podnet_transmit_bytes_total{node=\"worker-1\",transport=\"tcp\"}"]);
    }

    private static SeriesPlan Plan(params (string, string?)[] settings)
    {
        var options = TestOptions.Read(settings);
        return options.CreatePlan();
    }
}
