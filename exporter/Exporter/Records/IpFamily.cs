namespace Exporter.Records;

/// <summary>The version of an address.</summary>
internal enum IpFamily : byte
{
    /// <summary>There is no address.</summary>
    None,

    Ipv4,
    Ipv6,
}
