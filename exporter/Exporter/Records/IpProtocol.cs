namespace Exporter.Records;

/// <summary>Numbers of protocols (IANA) that records say more of than their number.</summary>
internal static class IpProtocol
{
    internal const byte Icmp = 1;
    internal const byte Tcp = 6;
    internal const byte Udp = 17;
    internal const byte Icmpv6 = 58;
    internal const byte Sctp = 132;

    internal static bool IsIcmp(byte protocol) => protocol is Icmp or Icmpv6;

    internal static bool HasPorts(byte protocol) => protocol is Tcp or Udp or Sctp;

    /// <summary>The name in ECS' network.transport, which is the keyword of IANA in lower case; empty for all others.</summary>
    internal static string NameOf(byte protocol) => protocol switch
    {
        Icmp => "icmp",
        Tcp => "tcp",
        Udp => "udp",
        Icmpv6 => "ipv6-icmp",
        Sctp => "sctp",
        _ => "",
    };
}
