using System.Globalization;
using System.Text;
using Exporter.Accounts;
using Exporter.Edges;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;

namespace Exporter.Commands;

/// <summary>podnet-exporter metrics: every family, in Markdown, and what the pods' families cost with these options.</summary>
internal static class MetricsText
{
    internal static string Write(ExporterOptions options)
    {
        var plan = options.CreatePlan();
        var labels = options.CreateLabels();
        var text = new StringBuilder();
        Line(text, "## Pods");
        foreach (var level in plan.Levels.Where(level => level.IsOfPods))
        {
            WriteFamilies(text, level, labels);
        }
        Line(text, "### What a pod costs");
        foreach (var level in plan.Levels.Where(level => level.IsOfPods))
        {
            Line(text, $"At most {level.Lines} sample lines for each {Name(level.Level)}: {string.Join(", ", level.Families.Select(family => $"{family.Lines} of `{family.Name}`"))}.");
            Line(text, $"They come in blocks, each with the first count in it: {string.Join(", ", level.Blocks.ToArray().GroupBy(block => block.Name).Select(CostOf))}.");
        }
        Line(
            text,
            $"Of the {plan.MaxSeries} of `Metrics:MaxSeries`, {plan.FixedLines} are set aside for the host, for folded blocks and for the node's interfaces, {plan.NamespaceLines} are for blocks that are folded by namespace, "
                + $"and {plan.PodLines} are room for {plan.Capacity} {Name(options.Metrics.Aggregation)}s that use everything, or for {plan.CapacityOf(DemoPods.Mix)}, a third of them like each of the three pods of `make demo`: "
                + $"{string.Join("; ", DemoPods.Mix.Select(kinds => string.Join(", ", kinds)))}.");
        var interfaces = new LevelPlan(SeriesLevel.Interface, [.. options.Signals.Select(signal => signal.Documented)]);
        Line(text, "## The node's interfaces");
        Line(text, $"Of the node's own interfaces there are these families, where options ask for them. Room for {interfaces.Reserved} interfaces with {interfaces.Lines} sample lines each is set aside then.");
        WriteFamilies(text, interfaces, labels);
        Line(text, "## Edges");
        Line(text, "Edges show the traffic of workloads with each peer, from the workload's view. These families exist with `Edges:Level`; with the level namespace they have no labels of workloads.");
        foreach (var family in EdgeColumns.PlanOf(EdgeLevel.Workload).Families)
        {
            Write(text, family, EdgeColumns.LabelsAt(EdgeLevel.Workload), level: null);
        }
        Line(text, "## The exporter");
        foreach (var family in AllFamilies.OfExporter(options.Signals))
        {
            Write(text, family, [], level: null);
        }
        Line(text, "## Kubernetes");
        Line(text, "These families exist where pods are identified by Kubernetes.");
        foreach (var family in AllFamilies.OfKubernetes)
        {
            Write(text, family, [], level: null);
        }
        return text.ToString().TrimEnd();
    }

    private static void WriteFamilies(StringBuilder text, LevelPlan level, PodLabels labels)
    {
        foreach (var family in level.Families)
        {
            Write(text, family, labels.At(level.Level).Names, level.Level);
        }
    }

    /// <param name="level">Null: it is not a family of pods or interfaces.</param>
    private static void Write(StringBuilder text, MetricDefinition family, IReadOnlyList<string> podLabels, SeriesLevel? level)
    {
        Line(text, $"### `{family.Name}`");
        Line(text, family.Details is null ? family.Help : $"{family.Help} {family.Details}");
        List<string> labels = [.. podLabels, .. family.Labels.Select(label => label.Values.Count == 0 ? label.Name : $"{label.Name} ({string.Join(", ", label.Values)})")];
        text.Append(CultureInfo.InvariantCulture, $"- {EnumText.Lower(family.Type)}, in {family.Unit}\n");
        text.Append(CultureInfo.InvariantCulture, $"- labels: {(labels.Count == 0 ? "none" : string.Join(", ", labels))}\n");
        if (family.Bounds.Count > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"- buckets: {string.Join(", ", family.Bounds.Select(bound => bound.ToString("0.#########", CultureInfo.InvariantCulture)))}\n");
        }
        if (level is { } one)
        {
            text.Append(CultureInfo.InvariantCulture, $"- at most {family.Lines} sample lines for each {Name(one)}\n");
        }
        text.Append(CultureInfo.InvariantCulture, $"\n```promql\n{family.Query}\n```\n\n");
    }

    private static string CostOf(IGrouping<string, Block> kind) => kind.Count() == 1 ? $"{kind.First().Lines} of `{kind.Key}`" : $"{kind.Count()} times {kind.First().Lines} of `{kind.Key}`";

    private static string Name(SeriesLevel level) => EnumText.Lower(level);

    private static void Line(StringBuilder text, string line) => text.Append(line).Append("\n\n");
}
