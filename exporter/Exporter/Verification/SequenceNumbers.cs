using System.Numerics;

namespace Exporter.Verification;

/// <summary>The numbers of an interval's records, a bit for each until all are there.</summary>
internal sealed class SequenceNumbers
{
    private ulong[] _bits = new ulong[1];
    private bool _isSealed;

    /// <summary>Null: no number has come.</summary>
    internal ulong? Largest { get; private set; }

    internal void Add(ulong number)
    {
        Largest = Largest > number ? Largest : number;
        if (_isSealed)
        {
            return;
        }
        var word = (int)(number / 64);
        if (word >= _bits.Length)
        {
            Array.Resize(ref _bits, (int)BitOperations.RoundUpToPowerOf2((uint)word + 1));
        }
        _bits[word] |= 1ul << (int)(number % 64);
    }

    /// <summary>How many of the numbers below a limit have come.</summary>
    internal ulong CountBelow(ulong limit)
    {
        if (_isSealed)
        {
            return limit;
        }
        var count = 0ul;
        for (var word = 0; word < _bits.Length && (ulong)word * 64 < limit; word++)
        {
            var rest = limit - ((ulong)word * 64);
            count += (ulong)BitOperations.PopCount(rest >= 64 ? _bits[word] : _bits[word] & ((1ul << (int)rest) - 1));
        }
        return count;
    }

    /// <summary>All numbers below the interval's count have come: the bits are no longer needed.</summary>
    internal void Seal() => (_isSealed, _bits) = (true, []);
}
