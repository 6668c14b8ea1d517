using System.Numerics;
using System.Runtime.InteropServices;

namespace Exporter.Bpf;

/// <summary>
/// The 64-bit counters that a signal's rows consist of. Maps, the ledger and accounts handle rows by these alone, whatever they count.
/// </summary>
/// <param name="name">Of the signal.</param>
/// <param name="names">In the order of the row. A name keeps its meaning from one version to the next.</param>
public sealed class RowFields(string name, IReadOnlyList<string> names)
{
    public string Name => name;

    public IReadOnlyList<string> Names => names;

    public int Count { get; } = names.Count;

    /// <summary>The number of a field that there is.</summary>
    public int IndexOf(string field)
    {
        for (var i = 0; i < Count; i++)
        {
            if (names[i] == field)
            {
                return i;
            }
        }
        throw new ArgumentException($"{name} has no field {field}", nameof(field));
    }

    /// <summary>Differs from that of every other signal, and of another version's fields.</summary>
    public MapLayout Layout => new(name, names);

    /// <summary>The counters of a value that consists of nothing else.</summary>
    public static ReadOnlySpan<ulong> RowOf<TValue>(in TValue value)
        where TValue : unmanaged =>
        MemoryMarshal.Cast<TValue, ulong>(MemoryMarshal.CreateReadOnlySpan(in value, 1));

    /// <summary>The value that consists of these counters.</summary>
    public static ref readonly TValue ValueOf<TValue>(ReadOnlySpan<ulong> row)
        where TValue : unmanaged =>
        ref MemoryMarshal.AsRef<TValue>(MemoryMarshal.AsBytes(row));

    /// <summary>The counters of a value that consists of nothing else, to be changed.</summary>
    public static Span<ulong> CountersOf<TValue>(ref TValue value)
        where TValue : unmanaged =>
        MemoryMarshal.Cast<TValue, ulong>(MemoryMarshal.CreateSpan(ref value, 1));

    /// <summary>
    /// Puts counts and sums of ranges in the ranges of other bounds: each range goes where its mean belongs, so that numbers and sums stay. A sum
    /// without a count is above all bounds.
    /// </summary>
    /// <param name="ranges">For each range its count and its sum; more ranges than bounds.</param>
    /// <param name="bounds">Upper bounds, inclusive, ascending.</param>
    public static void Regroup(Span<ulong> ranges, IReadOnlyList<ulong> bounds)
    {
        Span<ulong> regrouped = stackalloc ulong[ranges.Length];
        regrouped.Clear();
        for (var range = 0; range < ranges.Length; range += 2)
        {
            var (count, sum, target) = (ranges[range], ranges[range + 1], 0);
            while (target < bounds.Count && (count == 0 || sum / count > bounds[target]))
            {
                target++;
            }
            regrouped[2 * target] += count;
            regrouped[(2 * target) + 1] += sum;
        }
        regrouped.CopyTo(ranges);
    }

    /// <summary>Adds each counter of a row to that of another of the same length.</summary>
    public static void Add(Span<ulong> sums, ReadOnlySpan<ulong> row)
    {
        var i = 0;
        for (; i <= sums.Length - Vector<ulong>.Count; i += Vector<ulong>.Count)
        {
            (new Vector<ulong>(sums[i..]) + new Vector<ulong>(row[i..])).CopyTo(sums[i..]);
        }
        for (; i < sums.Length; i++)
        {
            sums[i] += row[i];
        }
    }
}
