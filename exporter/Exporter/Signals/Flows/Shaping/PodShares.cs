using System.Runtime.InteropServices;
using Exporter.Pods;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>
/// Shares the records of an interval max-min among its pods. The interfaces of a pod share; one without a known pod is one of its own.
/// </summary>
internal sealed class PodShares
{
    /// <summary>A pod whose folded records fill its share keeps an eighth of it for a sample of its other flows; and so much of the budget is at least for flows without packets.</summary>
    private const double LeastPart = 1.0 / 8;

    private readonly Dictionary<long, int> _byInterface = [];
    private readonly Dictionary<(string Namespace, string Name), int> _byName = [];
    private readonly List<PodShare> _pods = [];
    private readonly List<int> _demands = [];
    private readonly List<ulong> _sizes = [];

    internal Span<PodShare> All => CollectionsMarshal.AsSpan(_pods);

    internal void Begin()
    {
        _byInterface.Clear();
        _byName.Clear();
        _pods.Clear();
    }

    /// <summary>The number of an interface's pod in this interval.</summary>
    internal int Find(PodInterface owner)
    {
        ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(_byInterface, owner.Generation, out var exists);
        if (!exists)
        {
            known = owner.Pod is { } pod ? FindByName((pod.Namespace, pod.Name)) : Add();
        }
        return known;
    }

    /// <summary>Counts the records that each pod would have, and finds those above their share.</summary>
    /// <returns>The share; infinite where all have what they want.</returns>
    internal double Divide(ReadOnlySpan<ShapedFlow> flows, long budget)
    {
        var pods = All;
        foreach (ref var pod in pods)
        {
            (pod.Flows, pod.Folded, pod.Silent) = (0, 0, 0);
        }
        foreach (ref readonly var flow in flows)
        {
            ref var pod = ref pods[flow.Pod];
            pod.Flows += flow.IsSampled ? 1 : 0;
            pod.Folded += flow is { IsFolded: true, IsPart: false } ? 1 : 0;
            pod.Silent += flow.HasPackets ? 0 : 1;
        }
        var level = LevelOf(static pod => pod.Records, budget);
        foreach (ref var pod in pods)
        {
            pod.IsAbove = pod.Records > level;
        }
        return level;
    }

    /// <summary>Finds the probabilities of the flows of each pod that is above its share.</summary>
    /// <param name="level">The share.</param>
    internal void FindProbabilities(ReadOnlySpan<ShapedFlow> flows, double level, long budget)
    {
        var pods = All;
        var kept = 0.0;
        var at = 0;
        foreach (ref var pod in pods)
        {
            (pod.Threshold, pod.Next) = (0, at);
            at += pod.Flows;
        }
        if (double.IsPositiveInfinity(level))
        {
            kept = SumOf(pods);
        }
        else
        {
            CollectSizes(flows, at);
            foreach (ref var pod in pods)
            {
                var target = pod.IsAbove ? Math.Max(level - pod.Folded, level * LeastPart) : pod.Flows;
                if (pod.Flows > target)
                {
                    // Next is behind the pod's last size.
                    (pod.Floor, pod.Threshold) = FairShare.FindThreshold(CollectionsMarshal.AsSpan(_sizes).Slice(pod.Next - pod.Flows, pod.Flows), target);
                }
                kept += pod.Folded + Math.Min(pod.Flows, target);
            }
        }
        FindSilent(Math.Max(budget - kept, budget * LeastPart));
    }

    /// <summary>
    /// Flows without packets take no part in the sharing of the others, whose records are then those of the rows alone. They have neither bytes nor connections: each has
    /// the same chance.
    /// </summary>
    private void FindSilent(double budget)
    {
        var level = LevelOf(static pod => pod.Silent, budget);
        foreach (ref var pod in All)
        {
            pod.SilentProbability = pod.Silent > level ? level / pod.Silent : 1;
        }
    }

    private void CollectSizes(ReadOnlySpan<ShapedFlow> flows, int count)
    {
        CollectionsMarshal.SetCount(_sizes, count);
        var pods = All;
        var sizes = CollectionsMarshal.AsSpan(_sizes);
        foreach (ref readonly var flow in flows)
        {
            if (flow.IsSampled)
            {
                sizes[pods[flow.Pod].Next++] = flow.Bytes;
            }
        }
    }

    private double LevelOf(Func<PodShare, int> demand, double budget)
    {
        _demands.Clear();
        foreach (ref readonly var pod in All)
        {
            _demands.Add(demand(pod));
        }
        return FairShare.LevelOf(CollectionsMarshal.AsSpan(_demands), budget);
    }

    private static double SumOf(ReadOnlySpan<PodShare> pods)
    {
        var sum = 0.0;
        foreach (ref readonly var pod in pods)
        {
            sum += pod.Records;
        }
        return sum;
    }

    private int FindByName((string Namespace, string Name) name)
    {
        ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(_byName, name, out var exists);
        if (!exists)
        {
            known = Add();
        }
        return known;
    }

    private int Add()
    {
        _pods.Add(default);
        return _pods.Count - 1;
    }
}
