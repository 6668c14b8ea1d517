using System.Numerics;
using System.Runtime.InteropServices;

namespace Exporter.Bpf;

/// <summary>
/// The 64-bit fields that a signal's rows consist of. Maps, the ledger and accounts handle rows by these alone, whatever they count.
/// </summary>
/// <param name="name">The signal's name.</param>
/// <param name="names">Names of the fields, in the order of the row. A name keeps its meaning from one version to the next.</param>
/// <param name="kinds">The kinds of fields that are not sums, by their names; null: all are sums.</param>
public sealed class RowFields(string name, IReadOnlyList<string> names, IReadOnlyDictionary<string, FieldKind>? kinds = null)
{
    /// <summary>Null where all fields are sums, which are added many at a time.</summary>
    private readonly FieldKind[]? _kinds = kinds is null ? null : [.. names.Select(field => kinds.GetValueOrDefault(field))];

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

    /// <summary>Differs from the name of every other signal, and of another version's fields.</summary>
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

    /// <summary>Adds each field of a row to the same field of another, by its kind.</summary>
    public void Merge(Span<ulong> total, ReadOnlySpan<ulong> row)
    {
        if (_kinds is null)
        {
            Add(total, row);
            return;
        }
        for (var i = 0; i < total.Length; i++)
        {
            total[i] = Merge(_kinds[i], total[i], row[i]);
        }
    }

    /// <summary>Adds each counter of a row to the same counter of another of the same length, where all are sums.</summary>
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

    /// <summary>The sum of some of a row's counters.</summary>
    /// <param name="fields">Their numbers.</param>
    public static ulong Sum(ReadOnlySpan<ulong> row, IReadOnlyList<int> fields)
    {
        var sum = 0ul;
        for (var i = 0; i < fields.Count; i++)
        {
            sum += row[fields[i]];
        }
        return sum;
    }

    private static ulong Merge(FieldKind kind, ulong total, ulong value) => kind switch
    {
        FieldKind.Maximum => Math.Max(total, value),
        FieldKind.Minimum => total == 0 || (value != 0 && value < total) ? value : total,
        FieldKind.Last => value != 0 ? value : total,
        FieldKind.Bits => total | value,
        _ => total + value,
    };
}
