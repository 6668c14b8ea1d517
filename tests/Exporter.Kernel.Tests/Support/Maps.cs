using Exporter.Bpf;

namespace Exporter.Kernel.Tests.Support;

internal static class Maps
{
    /// <summary>Reads and clears, as a drain does when what it has read is kept.</summary>
    internal static ReadOnlySpan<DrainedRow<TKey, TValue>> Drain<TKey, TValue>(this DoubleBufferedMap<TKey, TValue> map)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        var rows = map.Read();
        map.Clear();
        return rows;
    }

    /// <summary>Reads a map and empties it.</summary>
    internal static ReadOnlySpan<DrainedRow<TKey, TValue>> ReadAndClear<TKey, TValue>(this HashReader<TKey, TValue> reader, BpfMap map)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        var rows = reader.Read(map);
        reader.Clear(map);
        return rows;
    }
}
