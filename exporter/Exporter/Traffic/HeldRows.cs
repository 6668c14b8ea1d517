using Exporter.Pods;

namespace Exporter.Traffic;

/// <summary>What was counted for somebody whose pod is not known yet, kept until it is, or until the wait is over.</summary>
/// <typeparam name="TOwner">What tells whose it is.</typeparam>
/// <typeparam name="TValue">The counters.</typeparam>
internal sealed class HeldRows<TOwner, TValue>(TimeProvider time, TimeSpan wait)
    where TOwner : notnull
    where TValue : struct
{
    private readonly Dictionary<TOwner, Held> _held = [];

    internal delegate void Adder(ref TValue sum, in TValue more);

    internal delegate void Taker(in TValue value);

    internal delegate void Crediter(IPodCounts counts, in TValue value);

    internal void Hold(TOwner owner, in TValue value, Adder add)
    {
        if (_held.TryGetValue(owner, out var held))
        {
            add(ref held.Value, value);
        }
        else
        {
            _held.Add(owner, new(value, time.GetTimestamp()));
        }
    }

    /// <summary>Hands over what has found its pod, and what nobody waits for any more.</summary>
    internal void Settle(Func<TOwner, IPodCounts?> find, Crediter credit, Taker giveUp)
    {
        foreach (var (owner, held) in _held)
        {
            if (find(owner) is { } series)
            {
                credit(series, held.Value);
            }
            else if (time.GetElapsedTime(held.Since) >= wait)
            {
                giveUp(held.Value);
            }
            else
            {
                continue;
            }
            // Removing does not disturb the enumeration of a Dictionary.
            _held.Remove(owner);
        }
    }

    private sealed class Held(TValue value, long since)
    {
        internal TValue Value = value;

        internal long Since => since;
    }
}
