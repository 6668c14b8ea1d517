using System.Collections;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>A set of ports or protocols. Immutable; look-ups allocate nothing.</summary>
internal sealed class NumberSet
{
    private readonly BitArray _bits = new(ushort.MaxValue + 1);

    internal NumberSet(IEnumerable<(int First, int Last)> ranges)
    {
        foreach (var (first, last) in ranges)
        {
            IsEmpty = false;
            for (var number = first; number <= last; number++)
            {
                _bits[number] = true;
            }
        }
    }

    internal bool IsEmpty { get; } = true;

    internal bool Contains(ushort number) => _bits[number];
}
