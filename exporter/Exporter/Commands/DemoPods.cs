namespace Exporter.Commands;

/// <summary>
/// The kinds of blocks that the three pods of <c>make demo</c> have after a minute: the mix that the room for pods is printed for, beside that for pods that use
/// everything. Each of them has asked for addresses by ARP, which is <c>other</c>.
/// </summary>
internal static class DemoPods
{
    internal static IReadOnlyList<IReadOnlyList<string>> Mix { get; } =
    [
        // web connects to api, and is pinged.
        ["tcp", "icmp", "other", "packet_sizes", "client"],
        // api is connected to, connects to db, and sends it datagrams.
        ["tcp", "udp", "icmp", "other", "packet_sizes", "client", "server"],
        // db is connected to, gets datagrams, and pings.
        ["tcp", "udp", "icmp", "other", "packet_sizes", "server"],
    ];
}
