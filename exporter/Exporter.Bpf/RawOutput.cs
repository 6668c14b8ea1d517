using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// write(2) for pipes and terminals, and flags of files. .NET's own streams do not say how much was written before an error, and the console's hides a closed pipe.
/// </summary>
public static unsafe class RawOutput
{
    /// <summary>PIPE_BUF, pipe(7): so many bytes do not block where poll(2) found a pipe writable.</summary>
    public const int AtomicBytes = 4096;

    /// <summary>Waits until a write would not block, or would fail.</summary>
    /// <returns>False: it still would.</returns>
    public static bool WaitUntilWritable(SafeHandle file, TimeSpan patience)
    {
        using var held = new HeldDescriptor(file);
        var poll = new Libc.pollfd { fd = held.Fd, events = Libc.POLLOUT };
        return Libc.poll(&poll, 1, (int)patience.TotalMilliseconds) != 0;
    }

    /// <summary>Has each write to a file append to it, whatever its offset is: pwrite(2) does so in a file that is open with O_APPEND. .NET opens none so.</summary>
    /// <exception cref="IOException">The file system refused.</exception>
    public static void AppendAlways(SafeHandle file)
    {
        using var held = new HeldDescriptor(file);
        if (Libc.fcntl(held.Fd, Libc.F_SETFL, Libc.O_APPEND) < 0)
        {
            throw new IOException(Errno.Describe(Marshal.GetLastPInvokeError()));
        }
    }

    /// <summary>Writes as many bytes as the kernel takes at once.</summary>
    /// <param name="errno">Zero where some were written; 0 with no bytes: interrupted, or a write would block.</param>
    /// <returns>The bytes that were written.</returns>
    public static int Write(SafeHandle file, ReadOnlySpan<byte> bytes, out int errno)
    {
        fixed (byte* start = bytes)
        {
            var written = Libc.write(file, start, (nuint)bytes.Length);
            errno = written >= 0 ? 0 : Marshal.GetLastPInvokeError();
            errno = errno is Errno.EAGAIN or Errno.EINTR ? 0 : errno;
            return (int)Math.Max(written, 0);
        }
    }
}
