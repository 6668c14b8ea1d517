using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// Memory that outlives the process: a BPF_MAP_TYPE_ARRAY with BPF_F_MMAPABLE (Linux 5.5), mapped into this process. A store is in the map at once,
/// however the process ends. Owns the mapping; a pin keeps the memory.
/// </summary>
public sealed unsafe class MappedArray : IDisposable
{
    /// <summary>So large is a page on every machine at least; the kernel rounds the whole up to its own.</summary>
    public const int ElementBytes = 4096;

    private readonly BpfMap _map;
    private readonly nuint _length;
    private nint _address;

    private MappedArray(BpfMap map)
    {
        _map = map;
        _length = (nuint)map.MaxEntries * ElementBytes;
        using var descriptor = new FileDescriptor(Libc.fcntl(map.Fd, Libc.F_DUPFD_CLOEXEC, 0));
        _address = Libc.mmap(0, _length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, descriptor, 0);
        if (_address == -1)
        {
            var errno = Marshal.GetLastPInvokeError();
            map.Dispose();
            throw new PinException($"Cannot map {map.Name} into memory: {Errno.Describe(errno)}");
        }
    }

    /// <summary>All of it; zero where nothing was stored. Not to be used after <see cref="Dispose"/>.</summary>
    public Span<byte> Bytes => new((void*)_address, checked((int)_length));

    /// <summary>Makes one and pins it.</summary>
    /// <exception cref="BpfException">The kernel has no room, or refused.</exception>
    public static MappedArray Create(PinDirectory pins, string name, int elements)
    {
        var opts = new Libbpf.bpf_map_create_opts { sz = (nuint)sizeof(Libbpf.bpf_map_create_opts), map_flags = Libbpf.BPF_F_MMAPABLE };
        var fd = Libbpf.bpf_map_create(Libbpf.BPF_MAP_TYPE_ARRAY, "podnet_ledger", sizeof(uint), ElementBytes, (uint)elements, &opts);
        if (fd < 0)
        {
            throw new PinException($"Cannot make the array {name} of {elements} pages: {Errno.Describe(-fd)}");
        }
        var array = new MappedArray(new(name, new FileDescriptor(fd)));
        try
        {
            pins.Pin(array._map.Fd, name);
            return array;
        }
        catch
        {
            array.Dispose();
            throw;
        }
    }

    /// <summary>Opens a pinned one of this size, or returns null where there is none, or it is something else.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public static MappedArray? Open(PinDirectory pins, string name, int elements)
    {
        if (pins.Get(name) is not { } descriptor)
        {
            return null;
        }
        BpfMap map;
        try
        {
            map = new BpfMap(name, descriptor);
        }
        catch (BpfException)
        {
            // A program or a link.
            return null;
        }
        if (map.KeySize != sizeof(uint) || map.ValueSize != ElementBytes || map.MaxEntries != elements || map.Copies != 1)
        {
            map.Dispose();
            return null;
        }
        return new MappedArray(map);
    }

    public void Dispose()
    {
        if (_address != 0)
        {
            _ = Libc.munmap(_address, _length);
            _address = 0;
            _map.Dispose();
        }
    }
}
