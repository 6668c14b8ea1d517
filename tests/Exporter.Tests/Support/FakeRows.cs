using System.Runtime.InteropServices;
using Exporter.Bpf;

namespace Exporter.Tests.Support;

/// <summary>Rows of a kernel's pair of maps: what is put in while some are read and cleared is there for the next time.</summary>
internal sealed class FakeRows<TKey, TValue>
    where TKey : unmanaged
    where TValue : unmanaged
{
    private readonly List<DrainedRow<TKey, TValue>> _counted = [];
    private readonly List<DrainedRow<TKey, TValue>> _read = [];

    internal void Put(TKey key, TValue value)
    {
        lock (_counted)
        {
            _counted.Add(new(key, value));
        }
    }

    internal ReadOnlySpan<DrainedRow<TKey, TValue>> Read()
    {
        lock (_counted)
        {
            _read.AddRange(_counted);
            _counted.Clear();
        }
        return CollectionsMarshal.AsSpan(_read);
    }

    /// <summary>What was read.</summary>
    internal void Clear() => _read.Clear();
}
