using System.Text;

namespace Exporter.Pods;

/// <summary>How pods are shown: the labels of their series, and which pods are excluded.</summary>
internal sealed class PodLabels
{
    /// <summary>The host's value of labels that only pods have.</summary>
    internal const string HostName = "__host__";

    private readonly PodLabelOptions _options;
    private readonly string _node;
    private readonly PodLabel[] _labels;

    /// <param name="levels">The levels that have series.</param>
    /// <param name="node">As the label of that name shows it.</param>
    internal PodLabels(PodLabelOptions options, IEnumerable<SeriesLevel> levels, string node)
    {
        (_options, _node) = (options, node);
        _labels = [.. levels.Where(level => level != SeriesLevel.Interface).SelectMany(LabelsAt).Distinct()];
        Names = [.. _labels.Select(label => label.Name)];
    }

    /// <summary>The names of all labels, of whatever level.</summary>
    internal IReadOnlyList<string> Names { get; }

    /// <summary>Stands for the host's own network namespace, and all pods that use it.</summary>
    internal PodIdentity Host => new(HostName, HostName, ValuesOf(new(HostName, HostName) { Workload = HostName }));

    internal PodIdentity Identify(PodDescription pod) => new(
        pod.Namespace,
        pod.Name,
        ValuesOf(pod).MakeSafe(),
        pod.IsOptedOut || _options.ExcludedNamespaces.Contains(pod.Namespace) || (_options.Namespaces.Count > 0 && !_options.Namespaces.Contains(pod.Namespace)))
    {
        Workload = pod.Workload,
        WorkloadKind = pod.WorkloadKind,
        Uid = pod.Uid,
        IsWithoutFlows = pod.IsWithoutFlows,
    };

    /// <summary>The labels that series of this level have.</summary>
    internal LabelSet At(SeriesLevel level) => level == SeriesLevel.Interface ? LabelSet.OfInterfaces : new(_labels, [.. LabelsAt(level)]);

    /// <summary>The labels at a level: a pod is replaced by its workload, and a namespace's pods by their namespace.</summary>
    private IEnumerable<PodLabel> LabelsAt(SeriesLevel level) => level switch
    {
        SeriesLevel.Pod => _options.PodLabels,
        SeriesLevel.Workload => _options.PodLabels
            .SelectMany(label => label.Name == PodLabel.Pod ? [new(PodLabel.Workload), new(PodLabel.WorkloadKind)] : (IEnumerable<PodLabel>)[label])
            .Distinct(),
        _ => _options.PodLabels.Where(label => label.Name is PodLabel.Node or PodLabel.Namespace).Prepend(new(PodLabel.Namespace)).Distinct(),
    };

    private LabelValues ValuesOf(PodDescription pod) => new([.. _labels.Select(label => ValueOf(label, pod))]);

    private string ValueOf(PodLabel label, PodDescription pod) => label switch
    {
        { Key: { } key } => pod.Labels?.GetValueOrDefault(key) ?? "",
        { Name: PodLabel.Namespace } => pod.Namespace,
        { Name: PodLabel.Pod } => pod.Name,
        { Name: PodLabel.Workload } => pod.Workload,
        { Name: PodLabel.WorkloadKind } => pod.WorkloadKind,
        _ => _node,
    };
}

/// <summary>The labels of one level, chosen from all.</summary>
internal sealed class LabelSet(PodLabel[] all, IReadOnlyList<PodLabel> chosen)
{
    /// <summary>Label value of everything that is folded.</summary>
    private const string Other = "__other__";

    /// <summary>The label of series that stand for an interface of the node.</summary>
    internal static LabelSet OfInterfaces { get; } = new([PodLabel.OfInterface], [PodLabel.OfInterface]);

    private readonly int[] _indexes = [.. chosen.Select(label => Array.IndexOf(all, label))];

    internal IReadOnlyList<string> Names { get; } = [.. chosen.Select(label => label.Name)];

    /// <summary>The values of a pod that series of this level have.</summary>
    internal LabelValues Select(LabelValues pod) => new([.. _indexes.Select(index => pod.Values[index])]);

    /// <summary>Labels of the namespace's __other__ series; null if the level has no namespace label, or no other.</summary>
    internal LabelValues? FoldInNamespace(LabelValues own) =>
        Names.All(name => name is PodLabel.Namespace or PodLabel.Node) || !Names.Contains(PodLabel.Namespace) ? null : Fold(own, PodLabel.Namespace);

    /// <summary>Labels of the __other__ series of all namespaces.</summary>
    internal LabelValues Fold(LabelValues own) => Fold(own, kept: null);

    /// <summary>The node is the same for all, and folds nothing.</summary>
    private LabelValues Fold(LabelValues own, string? kept) =>
        new([.. Names.Zip(own.Values, (name, value) => name == kept || (name == PodLabel.Node && Names.Count > 1) ? value : Other)]);
}

/// <summary>One label of the pods' series.</summary>
/// <param name="Name">As it is in the series.</param>
/// <param name="Key">The pod's own label that it shows; null where it is one of the words.</param>
internal sealed record PodLabel(string Name, string? Key = null)
{
    internal const string Namespace = "namespace";
    internal const string Pod = "pod";
    internal const string Workload = "workload";
    internal const string WorkloadKind = "workload_kind";
    internal const string Node = "node";

    /// <summary>No option names it.</summary>
    internal static PodLabel OfInterface { get; } = new("interface");

    private const string KeyPrefix = "label:";

    private static readonly string[] Words = [Namespace, Pod, Workload, WorkloadKind, Node];

    /// <exception cref="FormatException">The text is not a label.</exception>
    internal static PodLabel Parse(string text)
    {
        if (Words.Contains(text))
        {
            return new(text);
        }
        if (!text.StartsWith(KeyPrefix, StringComparison.Ordinal) || text.Length == KeyPrefix.Length)
        {
            throw new FormatException($"has '{text}', which is not one of {string.Join(", ", Words)}; a pod's own label is written {KeyPrefix}app.kubernetes.io/name");
        }
        var key = text[KeyPrefix.Length..];
        return new(NameOf(key), key);
    }

    /// <summary>
    /// Gives labels whose keys have the same name numbers, in the order of the keys, as kube-state-metrics does where a pod has all of them
    /// (mapToPrometheusLabels in internal/store/utils.go). Unlike there, a number whose name another key has by itself is skipped.
    /// </summary>
    internal static IReadOnlyList<PodLabel> ResolveConflicts(IReadOnlyList<PodLabel> labels)
    {
        var taken = labels.Select(label => label.Name).ToHashSet();
        var numbered = new Dictionary<PodLabel, string>();
        foreach (var conflict in labels.GroupBy(label => label.Name).Where(group => group.Count() > 1).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            var number = 0;
            foreach (var label in conflict.OrderBy(label => label.Key, StringComparer.Ordinal))
            {
                string name;
                do
                {
                    name = $"{conflict.Key}_conflict{++number}";
                }
                while (!taken.Add(name));
                numbered.Add(label, name);
            }
        }
        return [.. labels.Select(label => numbered.TryGetValue(label, out var name) ? label with { Name = name } : label)];
    }

    /// <summary>The name that kube-state-metrics gives a pod's label, so that series can be joined: camelCase as snake_case, in small letters.</summary>
    private static string NameOf(string key)
    {
        var name = new StringBuilder("label_");
        for (var i = 0; i < key.Length; i++)
        {
            if (i > 0 && char.IsAsciiLetterUpper(key[i]) && (char.IsAsciiLetterLower(key[i - 1]) || char.IsAsciiDigit(key[i - 1])))
            {
                name.Append('_');
            }
            name.Append(char.IsAsciiLetterOrDigit(key[i]) ? char.ToLowerInvariant(key[i]) : '_');
        }
        return name.ToString();
    }
}
