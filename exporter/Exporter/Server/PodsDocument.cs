using System.Text.Json.Serialization;
using Exporter.Bpf.Attach;
using Exporter.Options;
using Exporter.Pods;

namespace Exporter.Server;

/// <summary>The document /api/v1/pods: pods and interfaces with their totals.</summary>
/// <param name="Source">The source of pods, as Identity:Source names it.</param>
/// <param name="Hook">The hook that programs are attached to: tcx or clsact.</param>
/// <param name="Unknown">The interfaces whose pod is not known.</param>
internal sealed record PodsDocument(string Source, string Hook, DateTimeOffset Time, IReadOnlyList<PodEntry> Pods, IReadOnlyList<InterfaceEntry> Unknown)
{
    internal static PodsDocument Create(IPodSource source, PodTable table, PodLabels labels, TcAttacher attacher, TimeProvider time)
    {
        // Each owner is read once: its pod may change meanwhile.
        var found = table.Current.Values.OrderBy(owner => owner.Generation).Select(owner => (owner.Pod, Folded: owner.Counts?.FindFolded() ?? [], Entry: InterfaceEntry.Of(owner))).ToList();
        var interfaces = found.ToLookup(one => (one.Pod?.Namespace, one.Pod?.Name));
        var pods = new SortedDictionary<(string Namespace, string Name), PodEntry>();
        foreach (var pod in found.Select(one => one.Pod).OfType<PodIdentity>())
        {
            Add(pod, known: null);
        }
        foreach (var known in source.GetKnownPods())
        {
            Add(known.Identity, known);
        }
        return new(source.Name, attacher.Name, time.GetUtcNow(), [.. pods.Values], [.. interfaces[default].Select(one => one.Entry)]);

        void Add(PodIdentity pod, KnownPod? known) => pods[(pod.Namespace, pod.Name)] = new()
        {
            Namespace = pod.Namespace,
            Pod = pod.Name,
            Labels = labels.Names.Zip(pod.Labels.Values).ToDictionary(pair => pair.First, pair => pair.Second),
            Excluded = pod.IsExcluded,
            Folded = [.. interfaces[(pod.Namespace, pod.Name)].SelectMany(one => one.Folded).Distinct()],
            Phase = known?.Phase,
            HostNetwork = known?.HostNetwork ?? false,
            Addresses = known is null ? null : [.. known.Addresses.Select(address => address.ToString())],
            Interfaces = [.. interfaces[(pod.Namespace, pod.Name)].Select(one => one.Entry)],
        };
    }
}

/// <summary>A pod of this node.</summary>
internal sealed record PodEntry
{
    public required string Namespace { get; init; }

    public required string Pod { get; init; }

    /// <summary>The labels of its series.</summary>
    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    public bool Excluded { get; init; }

    /// <summary>The kinds of its blocks of series that the budget has no room for, and that are counted under <c>__other__</c>.</summary>
    public IReadOnlyList<string> Folded { get; init; } = [];

    /// <summary>From the API server, as <see cref="Addresses"/>; null if the API server does not have the pod, or no longer.</summary>
    public string? Phase { get; init; }

    public bool HostNetwork { get; init; }

    public IReadOnlyList<string>? Addresses { get; init; }

    public required IReadOnlyList<InterfaceEntry> Interfaces { get; init; }
}

/// <param name="Addresses">The addresses in its peer namespace.</param>
internal sealed record InterfaceEntry(
    string Name, int Ifindex, string State, DateTimeOffset Since, IReadOnlyList<string> Addresses, CountEntry Transmit, CountEntry Receive)
{
    internal static InterfaceEntry Of(PodInterface owner) => new(
        owner.Name,
        owner.Ifindex,
        owner.GoneAt is null ? EnumText.Lower(owner.State) : "gone",
        owner.SeenAt,
        [.. owner.Addresses.Select(address => address.ToString())],
        new(owner.Totals.Transmitted),
        new(owner.Totals.Received));
}

internal sealed record CountEntry(ulong Packets, ulong Bytes)
{
    internal CountEntry((ulong Packets, ulong Bytes) count)
        : this(count.Packets, count.Bytes)
    {
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PodsDocument))]
internal sealed partial class PodsDocumentContext : JsonSerializerContext;
