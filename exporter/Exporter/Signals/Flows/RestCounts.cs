using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>The traffic of an interface and a direction that is in no flow record of an interval, by reason.</summary>
internal sealed class RestCounts(PodInterface owner, RestDirection direction)
{
    internal static readonly IReadOnlyList<RestReason> Reasons = Enum.GetValues<RestReason>();

    private readonly FlowCount[] _counts = new FlowCount[Reasons.Count];

    internal PodInterface Owner => owner;

    internal RestDirection Direction => direction;

    internal FlowCount this[RestReason reason] => _counts[(int)reason];

    internal void Add(RestReason reason, ulong packets, ulong bytes) =>
        _counts[(int)reason] = new(_counts[(int)reason].Packets + packets, _counts[(int)reason].Bytes + bytes);
}
