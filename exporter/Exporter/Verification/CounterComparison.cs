namespace Exporter.Verification;

/// <summary>Compares flows and rest with the counters of each pod.</summary>
internal sealed class CounterComparison
{
    private static readonly (string Name, Func<PodCounts, UInt128> Of)[] Counters =
    [
        ("transmit bytes", counts => counts.TransmitBytes),
        ("transmit packets", counts => counts.TransmitPackets),
        ("receive bytes", counts => counts.ReceiveBytes),
        ("receive packets", counts => counts.ReceivePackets),
    ];

    private const int MaxFindings = 100;

    private CounterComparison(int pods) => Pods = pods;

    /// <summary>How many pods were compared.</summary>
    internal int Pods { get; }

    internal Findings Problems { get; } = new(MaxFindings);

    internal Findings Notes { get; } = new(MaxFindings);

    /// <param name="before">The counters when the records began.</param>
    internal static CounterComparison Create(IReadOnlyDictionary<InterfaceKey, InterfaceSums> sums, PodCounters before, PodCounters after)
    {
        var records = new Dictionary<(string, string), PodCounts>();
        var owners = FindOwners(sums.Keys);
        var nameless = 0;
        foreach (var (key, sum) in sums)
        {
            if ((PodOf(key) ?? (owners.TryGetValue(key.InterfaceId, out var owner) ? owner : null)) is { } pod)
            {
                records[pod] = records.GetValueOrDefault(pod) + sum.Total;
            }
            else
            {
                nameless++;
            }
        }
        List<(string Namespace, string Pod)> pods = [.. records.Keys.Union(before.Pods.Keys).Union(after.Pods.Keys).Order()];
        var comparison = new CounterComparison(pods.Count);
        foreach (var (name, of) in Counters)
        {
            comparison.Compare(name, pods, pod => of(records.GetValueOrDefault(pod)), pod => (of(before.Pods.GetValueOrDefault(pod)), of(after.Pods.GetValueOrDefault(pod))), OtherOf(after, of) - OtherOf(before, of));
        }
        foreach (var (label, counts) in after.NotComparable)
        {
            var began = before.NotComparable.GetValueOrDefault(label);
            var changes = Counters.Select(counter => $"{counter.Name} {(Int128)counter.Of(counts) - (Int128)counter.Of(began)}");
            comparison.Notes.Add($"{label}: not comparable with records of a pod ({string.Join(", ", changes)})");
        }
        if (nameless > 0)
        {
            comparison.Notes.Add($"{nameless} interfaces: not comparable, since their records name no pod");
        }
        if (sums.Keys.Select(key => key.Node).Distinct().Count() is var nodes and > 1)
        {
            comparison.Notes.Add($"the records are of {nodes} nodes, the counters of one exporter: pods of the other nodes have no counters here");
        }
        return comparison;
    }

    /// <summary>The pods of interfaces. Records from before the pod's name was known have the interface alone; the pod's counters have their traffic.</summary>
    private static Dictionary<string, (string Namespace, string Pod)> FindOwners(IEnumerable<InterfaceKey> interfaces)
    {
        var owners = new Dictionary<string, (string, string)>();
        foreach (var key in interfaces)
        {
            if (PodOf(key) is { } pod)
            {
                owners[key.InterfaceId] = pod;
            }
        }
        return owners;
    }

    private static (string Namespace, string Pod)? PodOf(in InterfaceKey key) => key is { Namespace: { } space, Pod: { } pod } ? (space, pod) : null;

    /// <param name="other">How much the folded series have grown: where that is as much as all pods' series lack, these are what was folded.</param>
    private void Compare(
        string name, IEnumerable<(string Namespace, string Pod)> pods, Func<(string, string), UInt128> records, Func<(string, string), (UInt128 Before, UInt128 After)> counters, UInt128 other)
    {
        var lacking = new List<string>();
        var lacks = UInt128.Zero;
        foreach (var pod in pods)
        {
            var (before, after) = counters(pod);
            var recorded = records(pod);
            var text = $"{pod.Namespace}/{pod.Pod}: {name}: ";
            if (after < before)
            {
                Problems.Add($"{text}counters went back from {before} to {after}: compare over a time in which the pod keeps its series");
            }
            else if (after - before is var counted && counted != recorded)
            {
                text += $"flows+rest {recorded}, counters {counted}, difference {(Int128)recorded - (Int128)counted}";
                if (recorded > counted)
                {
                    lacking.Add(text);
                    lacks += recorded - counted;
                }
                else
                {
                    Problems.Add(text);
                }
            }
        }
        var isFolded = lacks > 0 && lacks == other;
        foreach (var text in lacking)
        {
            (isFolded ? Notes : Problems).Add(isFolded ? $"{text}: as much as pod=\"{PodCounters.Other}\" has" : text);
        }
    }

    private static UInt128 OtherOf(PodCounters counters, Func<PodCounts, UInt128> of) =>
        of(counters.NotComparable.GetValueOrDefault($"series of pod=\"{PodCounters.Other}\""));
}
