using System.Text.Json.Serialization;
using Exporter.Bpf.Attach;
using Exporter.Options;
using Exporter.Pods;

namespace Exporter.Endpoints;

/// <summary>/api/v1/pods: what is known now.</summary>
/// <param name="Source">Who says which pod an interface belongs to.</param>
/// <param name="Hook">How interfaces are attached to.</param>
/// <param name="Unknown">The interfaces whose pod is not known.</param>
internal sealed record PodsDocument(string Source, string Hook, DateTimeOffset Time, IReadOnlyList<PodEntry> Pods, IReadOnlyList<InterfaceEntry> Unknown)
{
    internal static PodsDocument Create(IPodSource source, PodTable table, PodLabels labels, TcAttacher attacher, TimeProvider time)
    {
        // Each is asked once: it may become known meanwhile.
        var found = table.Current.Values.OrderBy(owner => owner.Generation).Select(owner => (owner.Pod, owner.Counts, Entry: InterfaceEntry.Of(owner))).ToList();
        var folded = found.Where(one => one.Counts is { IsFolded: true }).Select(one => (one.Pod?.Namespace, one.Pod?.Name)).ToHashSet();
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
            folded.Contains((pod.Namespace, pod.Name)),
            known?.Phase,
            known?.HostNetwork ?? false,
            known is null ? null : [.. known.Addresses.Select(address => address.ToString())],
            [.. interfaces[(pod.Namespace, pod.Name)]]);
    }
}

/// <param name="Labels">As its series have them.</param>
/// <param name="Folded">Whether it has not all series of its own: the budget has no room, and it is counted under <c>__other__</c>.</param>
/// <param name="Phase">As <paramref name="Addresses"/> from the API server; null where that does not know the pod, or no more.</param>
internal sealed record PodEntry(
    string Namespace,
    string Pod,
    IReadOnlyDictionary<string, string> Labels,
    bool Excluded,
    bool Folded,
    string? Phase,
    bool HostNetwork,
    IReadOnlyList<string>? Addresses,
    IReadOnlyList<InterfaceEntry> Interfaces);

/// <param name="Addresses">In the network namespace that it leads to.</param>
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
