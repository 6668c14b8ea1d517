using Exporter.Records;

namespace Exporter.Engine.Tests.Golden;

/// <summary>A connection, or what is one for protocols without connections: equal steps at equal distances.</summary>
/// <param name="Start">Of the first step, since the traffic's begin.</param>
internal sealed record Conversation(GoldenEnd Source, GoldenEnd Destination, ushort DestinationPort, TimeSpan Start)
{
    internal byte Protocol { get; init; } = IpProtocol.Tcp;

    internal ushort SourcePort { get; init; }

    /// <summary>The Service that the source addresses; null: the destination itself.</summary>
    internal GoldenService? Via { get; init; }

    internal Outcome Outcome { get; init; }

    internal int Steps { get; init; } = 1;

    internal TimeSpan Every { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>That the source sends in a step.</summary>
    internal ulong SourceBytes { get; init; } = 74;

    internal ulong SourcePackets { get; init; } = 1;

    /// <summary>That the destination sends in a step, if it answers.</summary>
    internal ulong DestinationBytes { get; init; } = 74;

    internal ulong DestinationPackets { get; init; } = 1;

    /// <summary>In nanoseconds.</summary>
    internal ulong? Rtt { get; init; }

    /// <summary>With which its records are kept, for they are: one of these stands for several.</summary>
    internal double? Probability { get; init; }

    /// <summary>The connections that it stands for: above 1 its records are folded.</summary>
    internal ulong Connections { get; init; } = 1;

    /// <summary>Of a folded one, how many different ports, hosts or sources it has; null: as many as connections.</summary>
    internal ulong? Distinct { get; init; }

    /// <summary>Of a folded one, how its connections differ.</summary>
    internal FlowGroup Group { get; init; } = FlowGroup.Connection;

    internal bool IsAnswered => Outcome is Outcome.Answered or Outcome.Kept;

    /// <summary>Whether the other end sends a packet.</summary>
    internal bool HasReply => Outcome != Outcome.Unanswered;

    internal bool IsTcp => Protocol == IpProtocol.Tcp;

    /// <summary>The same with this much in each step; the round-trip time is in microseconds.</summary>
    internal Conversation Carrying(ulong sourceBytes, ulong sourcePackets, ulong destinationBytes, ulong destinationPackets, ulong? rtt = null) => this with
    {
        SourceBytes = sourceBytes,
        SourcePackets = sourcePackets,
        DestinationBytes = destinationBytes,
        DestinationPackets = destinationPackets,
        Rtt = rtt * 1000,
    };

    /// <summary>The same, standing for this many connections whose records are folded.</summary>
    internal Conversation Folded(FlowGroup group, ulong connections) =>
        Carrying(connections * SourceBytes, connections * SourcePackets, connections * DestinationBytes, connections * DestinationPackets) with { Group = group, Connections = connections };

    internal TimeSpan Last => Start + (Every * (Steps - 1));

    internal TimeSpan TimeOf(int step) => Start + (Every * step);
}
