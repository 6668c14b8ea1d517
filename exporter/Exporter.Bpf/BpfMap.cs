using System.Runtime.CompilerServices;

namespace Exporter.Bpf;

/// <summary>A map of a loaded object. Does not own its file descriptor: the object does.</summary>
/// <param name="KeySize">In bytes.</param>
/// <param name="ValueSize">In bytes, of one CPU's value where the map has one for each.</param>
/// <param name="Copies">How many values a key has: one, or one for each CPU.</param>
public sealed record BpfMap(string Name, int Fd, int KeySize, int ValueSize, int MaxEntries, int Copies)
{
    /// <summary>Proves that the C# types are as large as the map's, rather than read memory that means something else.</summary>
    internal void RequireLayout<TKey, TValue>()
        where TKey : unmanaged
        where TValue : unmanaged
    {
        // The kernel hands out per-CPU values at multiples of eight bytes.
        if (KeySize != Unsafe.SizeOf<TKey>() || ValueSize != Unsafe.SizeOf<TValue>() || ValueSize % sizeof(ulong) != 0)
        {
            throw new InvalidOperationException(
                $"The map {Name} has keys of {KeySize} and values of {ValueSize} bytes, but {typeof(TKey).Name} has " +
                $"{Unsafe.SizeOf<TKey>()} and {typeof(TValue).Name} {Unsafe.SizeOf<TValue>()}.");
        }
    }
}
