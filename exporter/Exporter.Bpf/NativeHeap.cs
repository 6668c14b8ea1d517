using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The C library's heap, which OpenSSL uses: without this what a flood of TLS handshakes took is never given back.</summary>
public static class NativeHeap
{
    /// <summary>Else there can be eight for each CPU, and each keeps what it once had (mallopt(3)).</summary>
    private const int MaxArenas = 2;

    public static void LimitArenas() => _ = Libc.mallopt(Libc.M_ARENA_MAX, MaxArenas);

    /// <summary>Gives unused pages back to the kernel (malloc_trim(3)); takes milliseconds.</summary>
    public static void Trim() => _ = Libc.malloc_trim(0);
}
