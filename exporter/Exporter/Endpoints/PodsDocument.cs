using System.Text.Json.Serialization;
using Exporter.Bpf.Attach;
using Exporter.Options;
using Exporter.Pods;

namespace Exporter.Endpoints;

/// <summary>The document /api/v1/pods: pods and interfaces with their totals.</summary>
/// <param name="Source">The source of pods, as Identity:Source names it.</param>
/// <param name="Hook">The hook that programs are attached to: tcx or clsact.</param>
/// <param name="Unknown">The interfaces whose pod is not known.</param>
internal sealed record PodsDocument(string Source, string Hook, DateTimeOffset Time, IReadOnlyList<PodEntry> Pods, IReadOnlyList<InterfaceEntry> Unknown)
{
    internal static PodsDocument Create(IPodSource source, PodTable table, PodLabels labels, TcAttacher attacher, TimeProvider time)
    {
        // Each owner is read once: its pod may change meanwhile.
        var found = table.Current.Values.OrderBy(owner => owner.Generation).Select(owner => (owner.Pod, owner.Counts, Entry: InterfaceEntry.Of(owner))).ToList();
        var folded = found.ToLookup(one => (one.Pod?.Namespace, one.Pod?.Name), one => one.Counts?.FindFolded() ?? []);
        var interfaces = found.ToLookup(one => (one.Pod?.Namespace, one.Pod?.Name), one => one.Entry);
        var pods = new SortedDictionary<(string Namespace, string Name), PodEntry>();
        foreach (var pod in found.Select(one => one.Pod).OfType<PodIdentity>())
        {
            Add(pod, known: null);
        }
        foreach (var known in source.GetKnownPods())
        {
            Add(known.Identity, known);
        }
        return new(source.Name, attacher.Name, time.GetUtcNow(), [.. pods.Values], [.. interfaces[default]]);

        void Add(PodIdentity pod, KnownPod? known) => pods[(pod.Namespace, pod.Name)] = new(
            pod.Namespace,
            pod.Name,
            labels.Names.Zip(pod.Labels.Values).ToDictionary(pair => pair.First, pair => pair.Second),
            pod.IsExcluded,
            [.. folded[(pod.Namespace, pod.Name)].SelectMany(kinds => kinds).Distinct()],
            known?.HostNetwork ?? false,
            [.. interfaces[(pod.Namespace, pod.Name)]])
        {
            Phase = known?.Phase,
            Addresses = known is null ? null : [.. known.Addresses.Select(address => address.ToString())],
        };
    }
}

/// <param name="Labels">The labels of its series.</param>
/// <param name="Folded">The kinds of its blocks of series that the budget has no room for, and that are counted under <c>__other__</c>.</param>
internal sealed record PodEntry(
    string Namespace,
    string Pod,
    IReadOnlyDictionary<string, string> Labels,
    bool Excluded,
    IReadOnlyList<string> Folded,
    bool HostNetwork,
    IReadOnlyList<InterfaceEntry> Interfaces)
{
    /// <summary>From the API server; null if that does not have the pod, or no longer.</summary>
    public string? Phase { get; init; }

    /// <inheritdoc cref="Phase"/>
    public IReadOnlyList<string>? Addresses { get; init; }
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
