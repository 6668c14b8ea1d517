using System.Text.Json;
using System.Text.RegularExpressions;

namespace Exporter.Rules.Tests.Support;

/// <summary>A panel's query.</summary>
internal sealed record PanelQuery(string Panel, JsonElement Target)
{
    internal string Expression => Target.GetProperty("expr").GetString()!;
}

/// <summary>A dashboard as Grafana reads it.</summary>
internal sealed record Dashboard(string File, JsonElement Root)
{
    /// <summary>Those that show something: all but rows.</summary>
    internal IEnumerable<JsonElement> Panels => AllPanels.Where(panel => Type(panel) != "row");

    internal IEnumerable<JsonElement> AllPanels => Root.GetProperty("panels").EnumerateArray();

    internal IEnumerable<JsonElement> Variables => Root.GetProperty("templating").GetProperty("list").EnumerateArray();

    internal IEnumerable<PanelQuery> Queries =>
        Panels.SelectMany(panel => panel.GetProperty("targets").EnumerateArray().Select(target => new PanelQuery($"{File}: {Title(panel)}", target)));

    internal static string Title(JsonElement panel) => panel.GetProperty("title").GetString()!;

    internal static string Type(JsonElement panel) => panel.GetProperty("type").GetString()!;
}

internal static partial class Dashboards
{
    /// <summary>The dashboards on Prometheus.</summary>
    internal static IReadOnlyList<Dashboard> All { get; } = Read(".");

    /// <summary>The dashboards on Elasticsearch and OpenSearch.</summary>
    internal static IReadOnlyList<Dashboard> OfElasticsearch { get; } = Read("elasticsearch");

    /// <summary>The variables that a text names.</summary>
    internal static IEnumerable<string> VariablesIn(string text) => Variable().Matches(text).Select(match => match.Groups[1].Value).Distinct();

    private static Dashboard[] Read(string directory) =>
    [
        .. Directory.GetFiles(Path.Combine(Repository.Dashboards, directory), "*.json").Order(StringComparer.Ordinal)
            .Select(path => new Dashboard(Path.GetFileName(path), JsonElement.Parse(File.ReadAllText(path)))),
    ];

    [GeneratedRegex(@"\$\{?([a-z_][A-Za-z_]*)")]
    private static partial Regex Variable();
}
