using Exporter.Peers;
using Exporter.Records;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>A set of addresses. Immutable; look-ups allocate nothing.</summary>
internal sealed class AddressRanges
{
    /// <summary>Ascending, and apart from each other.</summary>
    private readonly (UInt128 First, UInt128 Last)[] _ranges;

    internal AddressRanges(IEnumerable<AddressPrefix> networks)
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
        _ranges = [.. ranges];
    }

    internal bool IsEmpty => _ranges.Length == 0;

    internal bool Contains(FlowAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        var key = PeerAddress.Key(bytes[..address.Write(bytes)]);
        var (from, to) = (0, _ranges.Length);
        while (from < to)
        {
            var middle = (from + to) >>> 1;
            (from, to) = _ranges[middle].First <= key ? (middle + 1, to) : (from, middle);
        }
        return from > 0 && key <= _ranges[from - 1].Last;
    }
}
