namespace Exporter.Signals.Uplinks;

/// <summary>enum uplink_class: every frame is in one.</summary>
internal enum UplinkClass
{
    TcpSyn,
    TcpSynAck,
    TcpRst,
    TcpFin,
    TcpOther,
    TcpIllegal,
    Udp,
    UdpReflection,
    Icmp,
    Fragment,
    OtherIp,
    Arp,
    Other,
}
