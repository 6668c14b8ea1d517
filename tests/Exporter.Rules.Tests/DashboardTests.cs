using System.Text.Json;
using System.Text.RegularExpressions;
using Exporter.Rules.Tests.Support;

namespace Exporter.Rules.Tests;

/// <summary>What is promised of every dashboard and panel.</summary>
public sealed partial class DashboardTests
{
    /// <summary>What others link to: these never change.</summary>
    private static readonly Dictionary<string, string> Uids = new()
    {
        ["overview.json"] = "podnet-overview",
        ["pod.json"] = "podnet-pod",
        ["latency.json"] = "podnet-latency",
        ["exporter.json"] = "podnet-exporter",
        ["edges.json"] = "podnet-edges",
        ["records.json"] = "podnet-records",
    };

    /// <summary>Those that are part of Grafana.</summary>
    private static readonly string[] PanelTypes = ["row", "stat", "timeseries", "table", "heatmap", "state-timeline", "nodeGraph"];

    /// <summary>Grafana's names of units that are used here: a wrong one shows as text behind the number.</summary>
    private static readonly string[] Units = ["short", "Bps", "pps", "cps", "bytes", "s", "ns", "percentunit"];

    public static TheoryData<string> Files => [.. Dashboards.All.Select(dashboard => dashboard.File)];

    public static TheoryData<string> FilesOfAll => [.. EachDashboard.Select(dashboard => dashboard.File)];

    private static IEnumerable<Dashboard> EachDashboard => Dashboards.All.Concat(Dashboards.OfElasticsearch);

    [Fact]
    public void The_uids_are_the_ones_that_others_link_to() =>
        Assert.Equal(Uids.OrderBy(uid => uid.Key), EachDashboard.ToDictionary(dashboard => dashboard.File, dashboard => dashboard.Root.GetProperty("uid").GetString()!).OrderBy(uid => uid.Key));

    [Theory]
    [MemberData(nameof(FilesOfAll))]
    public void A_dashboard_has_what_Grafana_10_and_newer_want(string file)
    {
        var root = Open(file).Root;

        Assert.InRange(root.GetProperty("schemaVersion").GetInt32(), 38, 39);
        Assert.False(root.TryGetProperty("id", out _), "An id is of one installation.");
        Assert.False(root.TryGetProperty("__inputs", out _), "It is provisioned, not imported.");
        Assert.Equal(["podnet"], root.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString()));
        Assert.False(string.IsNullOrWhiteSpace(root.GetProperty("description").GetString()));
        Assert.StartsWith("podnet / ", root.GetProperty("title").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(FilesOfAll))]
    public void A_dashboard_links_to_the_others_and_takes_the_variables_and_the_time_along(string file)
    {
        var link = Assert.Single(Open(file).Root.GetProperty("links").EnumerateArray());

        Assert.Equal("dashboards", link.GetProperty("type").GetString());
        Assert.Equal("podnet", link.GetProperty("tags")[0].GetString());
        Assert.True(link.GetProperty("includeVars").GetBoolean() && link.GetProperty("keepTime").GetBoolean());
    }

    [Theory]
    [MemberData(nameof(FilesOfAll))]
    public void A_link_to_a_dashboard_leads_to_one_and_sets_variables_that_it_has(string file) => Assert.All(
        Link().Matches(Open(file).Root.GetRawText()),
        link =>
        {
            var target = Assert.Single(EachDashboard, dashboard => dashboard.Root.GetProperty("uid").GetString() == link.Groups["uid"].Value);
            var variables = target.Variables.Select(variable => variable.GetProperty("name").GetString()!);
            Assert.Superset(Parameter().Matches(link.Value).Select(match => match.Groups["name"].Value).ToHashSet(), variables.ToHashSet());
        });

    [Theory]
    [MemberData(nameof(FilesOfAll))]
    public void A_panel_says_what_it_shows_in_which_unit(string file) => Assert.All(Open(file).Panels, panel =>
    {
        Assert.False(string.IsNullOrWhiteSpace(Dashboard.Title(panel)));
        Assert.Contains(Dashboard.Type(panel), PanelTypes);
        Assert.True(panel.GetProperty("description").GetString() is { Length: > 20 } description && description.EndsWith('.'), $"{Dashboard.Title(panel)} is not described.");
        Assert.Contains(panel.GetProperty("fieldConfig").GetProperty("defaults").GetProperty("unit").GetString(), Units);
        if (Dashboard.Type(panel) == "heatmap")
        {
            Assert.Contains(panel.GetProperty("options").GetProperty("yAxis").GetProperty("unit").GetString(), Units);
        }
        // What is not said by a panel's own legend needs one.
        if (Dashboard.Type(panel) is "timeseries" or "heatmap" or "state-timeline")
        {
            Assert.All(panel.GetProperty("targets").EnumerateArray(), target => Assert.NotEqual("", target.GetProperty(target.TryGetProperty("alias", out _) ? "alias" : "legendFormat").GetString()));
        }
    });

    [Theory]
    [MemberData(nameof(Files))]
    public void A_table_has_a_name_and_a_unit_for_every_column_of_values(string file) => Assert.All(Open(file).Panels.Where(panel => Dashboard.Type(panel) == "table"), panel =>
    {
        var organize = panel.GetProperty("transformations").EnumerateArray().Single(transformation => transformation.GetProperty("id").GetString() == "organize");
        var names = organize.GetProperty("options").GetProperty("renameByName");
        var targets = panel.GetProperty("targets").EnumerateArray().ToList();
        Assert.All(targets, target =>
        {
            var field = targets.Count == 1 ? "Value" : $"Value #{target.GetProperty("refId").GetString()}";
            var name = names.GetProperty(field).GetString();
            Assert.Contains(panel.GetProperty("fieldConfig").GetProperty("overrides").EnumerateArray(), set => set.GetProperty("matcher").GetProperty("options").GetString() == name);
            Assert.True(target.GetProperty("instant").GetBoolean());
        });
    });

    /// <summary>Clusters may have nodes and namespaces of the same names. A graph has ids of names alone; it says so.</summary>
    [Theory]
    [MemberData(nameof(Files))]
    public void Names_of_several_clusters_are_kept_apart(string file) => Assert.All(Open(file).Panels, panel =>
    {
        var targets = panel.GetProperty("targets").EnumerateArray().ToList();
        if (targets.Any(target => target.GetProperty("expr").GetString()!.Contains("label_replace(", StringComparison.Ordinal)))
        {
            Assert.Contains("Choose one cluster", panel.GetProperty("description").GetString(), StringComparison.Ordinal);
            return;
        }
        Assert.All(targets, target =>
        {
            Assert.DoesNotMatch(WithoutCluster(), target.GetProperty("expr").GetString());
            Assert.DoesNotMatch(@"^(?!\{\{cluster\}\} ).*\{\{(namespace|instance)\}\}", target.GetProperty("legendFormat").GetString());
        });
        if (Dashboard.Type(panel) == "table")
        {
            var names = panel.GetProperty("transformations").EnumerateArray().Single(transformation => transformation.GetProperty("id").GetString() == "organize").GetProperty("options").GetProperty("renameByName");
            Assert.Equal(names.TryGetProperty("namespace", out _) || names.TryGetProperty("instance", out _), names.TryGetProperty("cluster", out _));
        }
    });

    /// <summary>Rows are joined by their labels: one of a query that has not chosen the pods would have empty cells in the columns of the others.</summary>
    [Theory]
    [MemberData(nameof(Files))]
    public void The_queries_of_a_joined_table_choose_the_same_rows(string file) => Assert.All(
        Open(file).Panels.Where(panel => Dashboard.Type(panel) == "table" && panel.GetProperty("transformations").EnumerateArray().Any(transformation => transformation.GetProperty("id").GetString() == "merge")),
        panel => Assert.True(
            panel.GetProperty("targets").EnumerateArray().Select(target => target.GetProperty("expr").GetString()!.Contains("topk(", StringComparison.Ordinal)).Distinct().Count() == 1,
            Dashboard.Title(panel)));

    [Theory]
    [MemberData(nameof(Files))]
    public void A_panel_that_is_of_all_nodes_says_so_where_nodes_can_be_chosen(string file)
    {
        var dashboard = Open(file);
        var canChoose = dashboard.Variables.Any(variable => variable.GetProperty("name").GetString() == "instance");

        Assert.All(dashboard.Panels, panel =>
        {
            var isOfAll = panel.GetProperty("targets").EnumerateArray().Any(target => !target.GetProperty("expr").GetString()!.Contains("$instance", StringComparison.Ordinal));
            Assert.Equal(canChoose && isOfAll, panel.GetProperty("description").GetString()!.Contains("of all nodes, whichever are chosen", StringComparison.Ordinal));
        });
    }

    /// <summary>The node itself has handshakes and no other series.</summary>
    [Theory]
    [MemberData(nameof(Files))]
    public void What_has_handshakes_can_be_chosen_where_they_are_shown(string file)
    {
        var dashboard = Open(file);
        if (dashboard.Queries.Any(query => query.Expression.Contains("podnet_tcp_handshake", StringComparison.Ordinal)))
        {
            Assert.All(
                dashboard.Variables.Where(variable => variable.GetProperty("name").GetString() is "namespace" or "pod"),
                variable => Assert.All(
                    new[] { variable.GetProperty("definition"), variable.GetProperty("query").GetProperty("query") },
                    query => Assert.Contains("podnet_tcp_handshake_duration_seconds_count|podnet_tcp_handshake_failures_total", query.GetString(), StringComparison.Ordinal)));
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_data_source_is_the_variable(string file)
    {
        var dashboard = Open(file);
        var first = dashboard.Variables.First();
        Assert.Equal(("datasource", "datasource", "prometheus"), (first.GetProperty("name").GetString(), first.GetProperty("type").GetString(), first.GetProperty("query").GetString()));

        var users = dashboard.Panels.Concat(dashboard.Variables.Skip(1)).Concat(dashboard.Queries.Select(query => query.Target));

        Assert.All(users, user => Assert.Equal("${datasource}", user.GetProperty("datasource").GetProperty("uid").GetString()));
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void A_variable_can_be_all_and_then_takes_what_has_no_such_label(string file)
    {
        var variables = Open(file).Variables.Skip(1).ToList();

        Assert.Contains("cluster", variables.Select(variable => variable.GetProperty("name").GetString()));
        Assert.All(variables, variable =>
        {
            Assert.True(variable.GetProperty("includeAll").GetBoolean());
            Assert.Equal(".*", variable.GetProperty("allValue").GetString());
        });
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void A_query_uses_the_variables_and_the_rates_interval(string file)
    {
        var dashboard = Open(file);
        var selecting = dashboard.Variables.Skip(1).Select(variable => variable.GetProperty("name").GetString()!).ToList();

        Assert.All(dashboard.Queries, query =>
        {
            // Every selector, for a query with one that has not is of all clusters.
            Assert.All(Selector().Matches(query.Expression), selector => Assert.Contains("cluster=~\"$cluster\"", selector.Value, StringComparison.Ordinal));
            Assert.Subset(selecting.Append("__rate_interval").ToHashSet(), Dashboards.VariablesIn(query.Expression).ToHashSet());
            Assert.All(Range().Matches(query.Expression), range => Assert.Equal("[$__rate_interval]", range.Value));
        });
        Assert.All(selecting, name => Assert.Contains(dashboard.Queries, query => Dashboards.VariablesIn(query.Expression).Contains(name)));
    }

    [Theory]
    [MemberData(nameof(FilesOfAll))]
    public void Panels_have_ids_of_their_own_and_do_not_lie_upon_each_other(string file)
    {
        var panels = Open(file).AllPanels.ToList();
        Assert.Distinct(panels.Select(panel => panel.GetProperty("id").GetInt32()));

        var cells = panels.SelectMany(panel =>
        {
            var place = panel.GetProperty("gridPos");
            var (x, y, w, h) = (Get(place, "x"), Get(place, "y"), Get(place, "w"), Get(place, "h"));
            Assert.True(x + w <= 24, Dashboard.Title(panel));
            return from column in Enumerable.Range(x, w) from row in Enumerable.Range(y, h) select (column, row);
        });
        Assert.Distinct(cells);

        static int Get(JsonElement place, string name) => place.GetProperty(name).GetInt32();
    }

    private static Dashboard Open(string file) => EachDashboard.Single(dashboard => dashboard.File == file);

    [GeneratedRegex(@"(?<![\w:])(?:podnet|process|up|pod_|instance|workload\w*:|edge\w*:)[\w:]*\{[^}]*\}")]
    private static partial Regex Selector();

    [GeneratedRegex(@"\b(?:by|on) \((?![^)]*\bcluster\b)[^)]*\b(?:namespace|instance)\b")]
    private static partial Regex WithoutCluster();

    [GeneratedRegex(@"\[[^\]]*\]")]
    private static partial Regex Range();

    [GeneratedRegex(@"/d/(?<uid>[a-z-]+)\?[^""]*")]
    private static partial Regex Link();

    [GeneratedRegex(@"var-(?<name>\w+)=|\$\{(?<name>\w+):queryparam\}")]
    private static partial Regex Parameter();
}
