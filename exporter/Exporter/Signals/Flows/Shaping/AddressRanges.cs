using Exporter.Peers;
using Exporter.Records;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>A set of addresses. Immutable; look-ups allocate nothing.</summary>
internal sealed class AddressRanges
{
    /// <summary>Ascending, and apart from each other.</summary>
    private readonly (UInt128 First, UInt128 Last)[] _ipv4;

    /// <summary>The same. One that is as wide as ::/0 has the keys of IPv4 addresses too, and does not mean them.</summary>
    private readonly (UInt128 First, UInt128 Last)[] _ipv6;

    internal AddressRanges(IReadOnlyCollection<AddressPrefix> networks) =>
        (_ipv4, _ipv6) = (RangesOf(networks.Where(network => network.IsIpv4)), RangesOf(networks.Where(network => !network.IsIpv4)));

    internal bool IsEmpty => _ipv4.Length + _ipv6.Length == 0;

    internal bool Contains(FlowAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        var key = PeerAddress.Key(bytes[..address.Write(bytes)]);
        var ranges = PeerAddress.IsIpv4(key) ? _ipv4 : _ipv6;
        var (from, to) = (0, ranges.Length);
        while (from < to)
        {
            var middle = (from + to) >>> 1;
            (from, to) = ranges[middle].First <= key ? (middle + 1, to) : (from, middle);
        }
        return from > 0 && key <= ranges[from - 1].Last;
    }

    private static (UInt128 First, UInt128 Last)[] RangesOf(IEnumerable<AddressPrefix> networks)
    {
        List<(UInt128 First, UInt128 Last)> ranges = [];
        foreach (var network in networks.Select(network => network.Network).OrderBy(network => network.First).ThenBy(network => network.Length))
        {
            // Networks either contain each other or have no address in common.
            if (ranges.Count == 0 || ranges[^1].Last < network.First)
            {
                ranges.Add((network.First, network.Last));
            }
        }
        return [.. ranges];
    }
}
