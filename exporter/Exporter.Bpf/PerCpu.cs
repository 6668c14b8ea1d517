using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>Values of which every CPU has its own, each a row of 64-bit counters.</summary>
internal static class PerCpu
{
    /// <summary>How many CPUs this machine could have, which is how many copies the kernel hands out.</summary>
    internal static int Count { get; } = Libbpf.libbpf_num_possible_cpus();

    /// <summary>The values of all CPUs as one. <typeparamref name="TValue"/>'s size is a multiple of eight bytes.</summary>
    /// <param name="fields">Null: all are sums.</param>
    internal static TValue Sum<TValue>(ReadOnlySpan<TValue> perCpu, RowFields? fields = null)
        where TValue : unmanaged
    {
        var sum = perCpu[0];
        var counters = RowFields.CountersOf(ref sum);
        foreach (ref readonly var copy in perCpu[1..])
        {
            if (fields is null)
            {
                RowFields.Add(counters, RowFields.RowOf(copy));
            }
            else
            {
                fields.Merge(counters, RowFields.RowOf(copy));
            }
        }
        return sum;
    }
}
