namespace Exporter.Records;

/// <summary>One end of a flow, and how much it sent in the interval.</summary>
internal struct FlowSide
{
    /// <summary>None where the record has no address: hidden, or of many flows.</summary>
    internal FlowAddress Address;

    /// <summary>Written where <see cref="HasPort"/> says so.</summary>
    internal ushort Port;

    internal bool HasPort;

    internal ulong Bytes;

    internal ulong Packets;

    /// <summary>Packets as they are on the wire, where the stack has merged some.</summary>
    internal ulong Segments;

    /// <summary>The flags of all its packets, as in the TCP header: FIN is bit 0, CWR bit 7.</summary>
    internal byte TcpFlags;

    /// <summary>Null: the end has no name.</summary>
    internal RecordEnd? End;

    /// <summary>The address behind a translation, as of a Service; none where the address was not translated.</summary>
    internal FlowAddress NatAddress;

    /// <summary>Written with <see cref="NatAddress"/> where <see cref="HasPort"/> says so.</summary>
    internal ushort NatPort;
}
