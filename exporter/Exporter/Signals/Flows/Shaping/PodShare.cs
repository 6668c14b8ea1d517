namespace Exporter.Signals.Flows.Shaping;

/// <summary>The records of one pod in an interval.</summary>
internal struct PodShare
{
    /// <summary>Flows, or groups, that may be sampled.</summary>
    internal int Flows;

    /// <summary>Folded records, which are not sampled.</summary>
    internal int Folded;

    /// <summary>Flows without a packet of which there is something to say.</summary>
    internal int Silent;

    /// <summary>Whether it has more records than its share: its failures are folded.</summary>
    internal bool IsAbove;

    /// <summary>As <see cref="FairShare.FindThreshold"/> has it; 0: all are kept.</summary>
    internal double Threshold;

    internal ulong Floor;

    /// <summary>Of each flow without a packet.</summary>
    internal double SilentProbability;

    /// <summary>Where the sizes of its flows are.</summary>
    internal int Next;

    internal readonly int Records => Flows + Folded;

    /// <param name="flow">One of its flows.</param>
    internal readonly double ProbabilityOf(in ShapedFlow flow) =>
        !flow.HasPackets ? SilentProbability
        : flow.IsFolded || Threshold == 0 ? 1
        : FairShare.ProbabilityOf(flow.Bytes, Floor, Threshold);
}
