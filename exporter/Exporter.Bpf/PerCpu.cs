using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>Values of which every CPU has its own, each a row of 64-bit counters.</summary>
internal static class PerCpu
{
    /// <summary>How many CPUs this machine could have, which is how many copies the kernel hands out.</summary>
    internal static int Count { get; } = Libbpf.libbpf_num_possible_cpus();

    /// <summary>The counters' sums over the CPUs. <typeparamref name="TValue"/>'s size is a multiple of eight bytes.</summary>
    internal static TValue Sum<TValue>(ReadOnlySpan<TValue> perCpu)
        where TValue : unmanaged
    {
        var sum = perCpu[0];
        foreach (ref readonly var copy in perCpu[1..])
        {
            Add(ref sum, copy);
        }
        return sum;
    }

    /// <summary>Adds the counters of one value to those of another.</summary>
    internal static void Add<TValue>(ref TValue sum, in TValue more)
        where TValue : unmanaged
    {
        var total = Counters(ref sum);
        var counters = Counters(ref Unsafe.AsRef(in more));
        var i = 0;
        for (; i <= total.Length - Vector<ulong>.Count; i += Vector<ulong>.Count)
        {
            (new Vector<ulong>(total[i..]) + new Vector<ulong>(counters[i..])).CopyTo(total[i..]);
        }
        for (; i < total.Length; i++)
        {
            total[i] += counters[i];
        }
    }

    private static Span<ulong> Counters<TValue>(ref TValue value)
        where TValue : unmanaged =>
        MemoryMarshal.Cast<TValue, ulong>(MemoryMarshal.CreateSpan(ref value, 1));
}
