using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The C library's heap, which OpenSSL and zlib use: without this it never gives back what a flood of TLS handshakes or compressions took.</summary>
public static class NativeHeap
{
    /// <summary>Else there can be eight for each CPU, and each keeps what it once had (mallopt(3)).</summary>
    private const int MaxArenas = 2;

    /// <summary>Bytes of a block that is mapped alone, and unmapped when it is freed. The default grows with the blocks, up to 32 MiB (mallopt(3)).</summary>
    private const int MappedBlock = 128 << 10;

    /// <summary>Bounds what the heap keeps of memory that is free.</summary>
    public static void Limit()
    {
        _ = Libc.mallopt(Libc.M_ARENA_MAX, MaxArenas);
        _ = Libc.mallopt(Libc.M_MMAP_THRESHOLD, MappedBlock);
    }

    /// <summary>Gives unused pages back to the kernel (malloc_trim(3)); takes milliseconds.</summary>
    public static void Trim() => _ = Libc.malloc_trim(0);
}
