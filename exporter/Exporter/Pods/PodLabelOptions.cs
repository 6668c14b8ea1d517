using Exporter.Options;

namespace Exporter.Pods;

/// <summary>How pods are shown, and which of them.</summary>
/// <param name="Namespaces">Empty: all.</param>
internal sealed record PodLabelOptions(IReadOnlyList<PodLabel> PodLabels, IReadOnlySet<string> Namespaces, IReadOnlySet<string> ExcludedNamespaces)
{
    /// <summary>A regular expression of one label.</summary>
    private const string Label = "namespace|pod|workload|workload_kind|node|label:[^; ]+";

    /// <summary>Reads a part of the section Metrics.</summary>
    internal static PodLabelOptions Read(OptionReader reader) => new(
        reader.List(
            "Metrics:PodLabels",
            "namespace;pod",
            "namespace, pod, workload, workload_kind, node, label:KEY",
            "Labels of the pods' series; pods with the same values of all of them share their series.",
            OptionReader.TextOrArray(
                $$"""{"type": "string", "pattern": "^ *({{Label}}) *(; *({{Label}})? *)*$"}""",
                $$$"""{"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string", "pattern": "^({{{Label}}})$"}}"""),
            ParsePodLabels,
            isLive: true),
        reader.List("Metrics:Namespaces", "", "namespaces", "Only pods of these namespaces have series; empty: pods of all namespaces.", OptionReader.Defined("namespaces"), ParseNamespaces, isLive: true),
        reader.List("Metrics:ExcludedNamespaces", "", "namespaces", "Pods of these namespaces have no series.", OptionReader.Defined("namespaces"), ParseNamespaces, isLive: true));

    private static IReadOnlyList<PodLabel> ParsePodLabels(IReadOnlyList<string> texts)
    {
        var labels = texts.Select(PodLabel.Parse).ToArray();
        if (labels.Length == 0)
        {
            throw new FormatException("is empty; write at least one label, like namespace");
        }
        return labels.GroupBy(label => label).FirstOrDefault(group => group.Count() > 1) is { } same
            ? throw new FormatException($"has the label {same.Key.Key ?? same.Key.Name} twice")
            : PodLabel.ResolveConflicts(labels);
    }

    private static HashSet<string> ParseNamespaces(IReadOnlyList<string> texts)
    {
        const int MaxLength = 63;
        foreach (var text in texts)
        {
            // RFC 1123, as https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ wants it.
            if (text.Length > MaxLength || text.StartsWith('-') || text.EndsWith('-') || !text.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '-'))
            {
                throw new FormatException($"has '{text}', which no namespace can be called; write names like default;kube-system");
            }
        }
        return [.. texts];
    }
}
