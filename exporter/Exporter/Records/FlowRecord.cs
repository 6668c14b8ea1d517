namespace Exporter.Records;

/// <summary>
/// What one observer saw of a flow, or of several that are one record, in one interval. An instance is filled, written and reused;
/// <see cref="Reset"/> comes before the next one.
/// </summary>
internal sealed class FlowRecord
{
    /// <summary>At most this many of each kind of examples.</summary>
    internal const int MaxExamples = 16;

    /// <summary>Of the end that began.</summary>
    internal FlowSide Source;

    internal FlowSide Destination;

    /// <summary>From the whole tuple or group, before addresses are hidden.</summary>
    internal EventId Id { get; set; }

    /// <summary>The number of the record in its interval, from 0.</summary>
    internal long Sequence { get; set; }

    /// <summary>The first packet in the interval.</summary>
    internal DateTimeOffset Start { get; set; }

    /// <summary>The last packet in the interval.</summary>
    internal DateTimeOffset End { get; set; }

    /// <summary>The first packet of the connection; null: not known.</summary>
    internal DateTimeOffset? FlowStart { get; set; }

    /// <summary>The family of the addresses; needed only where the record has no addresses.</summary>
    internal IpFamily Family { get; set; }

    /// <summary>The protocol's number (IANA).</summary>
    internal byte Protocol { get; set; }

    /// <summary>Of ICMP and ICMPv6, the type of the source's messages: a reply's where the source is the end that replied. Null for all else.</summary>
    internal byte? IcmpType { get; set; }

    internal byte? IcmpCode { get; set; }

    /// <summary>TCP: packets with SYN, of both ends.</summary>
    internal ulong Syns { get; set; }

    /// <summary>TCP: packets with RST, of both ends.</summary>
    internal ulong Resets { get; set; }

    /// <summary>Of the socket of the observer's pod, in nanoseconds; null: not known.</summary>
    internal ulong? SmoothedRttNs { get; set; }

    /// <summary>In nanoseconds; null: not known.</summary>
    internal ulong? MinRttNs { get; set; }

    /// <summary>In the interval, by the socket of the observer's pod; null: not known.</summary>
    internal ulong? Retransmits { get; set; }

    internal FlowObserver Observer { get; set; }

    internal FlowOrientation Orientation { get; set; }

    /// <summary>Null for all but TCP.</summary>
    internal FlowState? State { get; set; }

    /// <summary>Null: it has not ended.</summary>
    internal FlowEndReason? EndReason { get; set; }

    /// <summary>Connections of the record that began in the interval.</summary>
    internal ulong Connections { get; set; }

    /// <summary>The probability with which there is a record, by all samples, above 0; null: 1.</summary>
    internal double? SamplingProbability { get; set; }

    /// <summary>Of a folded record, how many ports of the destination it has; 0: it is not folded so.</summary>
    internal ulong DistinctPorts { get; set; }

    /// <summary>Of a folded record, how many destinations it has; 0: it is not folded so.</summary>
    internal ulong DistinctHosts { get; set; }

    /// <summary>Of a folded record, how many sources it has; 0: it is not folded so.</summary>
    internal ulong DistinctSources { get; set; }

    /// <summary>Some of the ports, at most <see cref="MaxExamples"/>.</summary>
    internal List<ushort> ExamplePorts { get; } = new(MaxExamples);

    /// <summary>Some of the destinations, at most <see cref="MaxExamples"/>.</summary>
    internal List<FlowAddress> ExampleHosts { get; } = new(MaxExamples);

    /// <summary>Some of the sources, at most <see cref="MaxExamples"/>.</summary>
    internal List<FlowAddress> ExampleSources { get; } = new(MaxExamples);

    /// <summary>The name of the interface that was counted.</summary>
    internal string InterfaceName { get; set; } = "";

    /// <summary>The generation of the interface that was counted.</summary>
    internal long Generation { get; set; }

    internal void Reset()
    {
        Source = default;
        Destination = default;
        (Id, Sequence, Start, End, FlowStart) = (default, 0, default, default, null);
        (Family, Protocol, IcmpType, IcmpCode) = (default, 0, null, null);
        (Syns, Resets, SmoothedRttNs, MinRttNs, Retransmits) = (0, 0, null, null, null);
        (Observer, Orientation, State, EndReason, Connections, SamplingProbability) = (default, default, null, null, 0, null);
        (DistinctPorts, DistinctHosts, DistinctSources) = (0, 0, 0);
        ExamplePorts.Clear();
        ExampleHosts.Clear();
        ExampleSources.Clear();
        (InterfaceName, Generation) = ("", 0);
    }
}
