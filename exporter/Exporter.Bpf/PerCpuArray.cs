using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// A BPF_MAP_TYPE_PERCPU_ARRAY whose values consist of 64-bit counters. The counters only grow; reading is exact for all that was counted before.
/// </summary>
public sealed class PerCpuArray<TValue>
    where TValue : unmanaged
{
    private readonly BpfMap _map;
    private readonly TValue[] _perCpu;

    public PerCpuArray(BpfMap map)
    {
        map.RequireLayout<uint, TValue>();
        _map = map;
        _perCpu = new TValue[PerCpu.Count];
    }

    /// <summary>The sum over all CPUs.</summary>
    public unsafe TValue Read(int index)
    {
        fixed (TValue* values = _perCpu)
        {
            var error = Libbpf.bpf_map_lookup_elem(_map.Fd, &index, values);
            if (error < 0)
            {
                throw new BpfException($"read entry {index} of the map {_map.Name}", -error);
            }
        }
        return PerCpu.Sum<TValue>(_perCpu);
    }

    /// <summary>Adds the counters of the first indexes of another array, which no program counts into.</summary>
    internal void Continue(PerCpuArray<TValue> previous, int count)
    {
        for (var index = 0; index < count; index++)
        {
            var sum = Read(index);
            RowFields.Add(RowFields.CountersOf(ref sum), RowFields.RowOf(previous.Read(index)));
            Write(index, sum);
        }
    }

    /// <summary>Sets the values that the counters of an index continue from.</summary>
    public unsafe void Write(int index, TValue value)
    {
        Array.Clear(_perCpu);
        _perCpu[0] = value;
        fixed (TValue* values = _perCpu)
        {
            var error = Libbpf.bpf_map_update_elem(_map.Fd, &index, values, 0);
            if (error < 0)
            {
                throw new BpfException($"write entry {index} of the map {_map.Name}", -error);
            }
        }
    }
}
