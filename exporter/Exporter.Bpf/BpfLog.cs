using System.Runtime.InteropServices;
using System.Text;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// Catches what libbpf prints, which by default goes to stderr. The verifier's log comes this way: libbpf loads a refused
/// program again with logging on and prints the result as a warning.
/// </summary>
internal static unsafe class BpfLog
{
    private const int LevelInfo = 1;

    /// <summary>libbpf prints on the thread that called it.</summary>
    [ThreadStatic]
    private static StringBuilder? s_text;

    static BpfLog() => Libbpf.libbpf_set_print(&Print);

    /// <summary>Runs <paramref name="call"/> and returns its result with what libbpf printed.</summary>
    internal static (T Result, string Log) Capture<T>(Func<T> call)
    {
        s_text = new StringBuilder();
        try
        {
            var result = call();
            return (result, s_text.ToString());
        }
        finally
        {
            s_text = null;
        }
    }

    [UnmanagedCallersOnly]
    private static int Print(int level, byte* format, nint arguments)
    {
        if (s_text is not { } text || level > LevelInfo)
        {
            return 0;
        }
        // A verifier log comes in one call, up to 16 MiB, with the reason at its end. Pages that are not written cost nothing.
        const int Room = (16 << 20) + 4096;
        var buffer = (byte*)NativeMemory.Alloc(Room);
        try
        {
            var length = Libc.vsnprintf(buffer, Room, format, arguments);
            text.Append(Encoding.UTF8.GetString(buffer, Math.Clamp(length, 0, Room - 1)));
            return length;
        }
        catch (Exception e) when (e is OutOfMemoryException or ArgumentException)
        {
            // No exception may cross into libbpf, and a log is not worth more.
            return 0;
        }
        finally
        {
            NativeMemory.Free(buffer);
        }
    }
}
