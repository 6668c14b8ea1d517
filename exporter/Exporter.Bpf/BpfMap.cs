using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>A map in the kernel, which lives as long as anything holds it: this, a program, a pin. Owns a file descriptor of its own.</summary>
public sealed class BpfMap : IDisposable
{
    private readonly FileDescriptor _descriptor;

    /// <param name="descriptor">Owned from now on.</param>
    internal BpfMap(string name, FileDescriptor descriptor)
    {
        Name = name;
        _descriptor = descriptor;
        try
        {
            var info = ReadInfo();
            Id = (int)info.id;
            (KeySize, ValueSize, MaxEntries) = ((int)info.key_size, (int)info.value_size, (int)info.max_entries);
            Copies = info.type is Libbpf.BPF_MAP_TYPE_PERCPU_HASH or Libbpf.BPF_MAP_TYPE_PERCPU_ARRAY ? PerCpu.Count : 1;
        }
        catch
        {
            descriptor.Dispose();
            throw;
        }
    }

    public string Name { get; }

    /// <summary>The kernel's number of this map: no two have one, and none comes back.</summary>
    public int Id { get; }

    /// <summary>The size of a key in bytes.</summary>
    public int KeySize { get; }

    /// <summary>The size of a value in bytes; of one CPU's value where the map has one for each.</summary>
    public int ValueSize { get; }

    public int MaxEntries { get; }

    /// <summary>How many values a key has: one, or one for each CPU.</summary>
    public int Copies { get; }

    public int Fd => (int)_descriptor.DangerousGetHandle();

    public void Dispose() => _descriptor.Dispose();

    /// <summary>A map that somebody else has a descriptor of.</summary>
    internal static BpfMap Duplicate(string name, int fd)
    {
        var descriptor = new FileDescriptor(Libc.fcntl(fd, Libc.F_DUPFD_CLOEXEC, 0));
        if (descriptor.IsInvalid)
        {
            descriptor.Dispose();
            throw new BpfException($"hold the map {name}", Marshal.GetLastPInvokeError());
        }
        return new(name, descriptor);
    }

    /// <summary>Proves that the C# types are as large as the map's, rather than read memory that means something else.</summary>
    internal void RequireLayout<TKey, TValue>()
        where TKey : unmanaged
        where TValue : unmanaged
    {
        // The kernel hands out per-CPU values at multiples of eight bytes.
        if (KeySize != Unsafe.SizeOf<TKey>() || ValueSize != Unsafe.SizeOf<TValue>() || ValueSize % sizeof(ulong) != 0)
        {
            throw new BpfException(
                $"use the map {Name}: it has keys of {KeySize} and values of {ValueSize} bytes, but {typeof(TKey).Name} has " +
                $"{Unsafe.SizeOf<TKey>()} and {typeof(TValue).Name} {Unsafe.SizeOf<TValue>()}",
                Errno.EINVAL);
        }
    }

    private unsafe Libbpf.bpf_map_info ReadInfo()
    {
        Libbpf.bpf_map_info info = default;
        var size = (uint)sizeof(Libbpf.bpf_map_info);
        var error = Libbpf.bpf_obj_get_info_by_fd(Fd, &info, &size);
        return error < 0 ? throw new BpfException($"ask about the map {Name}", -error) : info;
    }
}
