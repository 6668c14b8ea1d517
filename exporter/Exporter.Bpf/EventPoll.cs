using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>Waits until one of many sockets has something to read (epoll(7)). One thread waits; the others may be called by any.</summary>
public sealed unsafe class EventPoll : IDisposable
{
    /// <summary>Reported when <see cref="Wake"/> was called.</summary>
    public const ulong Woken = ulong.MaxValue;

    private const int MaxEvents = 256;

    // struct epoll_event is packed on x86-64 alone.
    private static readonly (int Size, int Key) Layout = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? (12, 4) : (16, 8);

    private readonly FileDescriptor _poll = Check(Libc.epoll_create1(Libc.EPOLL_CLOEXEC), "make an epoll instance");
    private readonly FileDescriptor _wake = Check(Libc.eventfd(0, Libc.EFD_CLOEXEC), "make an eventfd");
    private readonly byte[] _events = new byte[MaxEvents * Layout.Size];

    public EventPoll() => Control(Libc.EPOLL_CTL_ADD, _wake, Libc.EPOLLIN, Woken);

    /// <summary>Reports this key for as long as there is something to read or to accept.</summary>
    public void Add(SafeHandle socket, ulong key) => Control(Libc.EPOLL_CTL_ADD, socket, Libc.EPOLLIN, key);

    /// <summary>Reports this key once each time that something arrives, or the other side closes.</summary>
    public void AddArrivals(SafeHandle socket, ulong key) => Control(Libc.EPOLL_CTL_ADD, socket, Libc.EPOLLIN | Libc.EPOLLET, key);

    /// <summary>A socket that is closed is removed by that.</summary>
    public void Remove(SafeHandle socket) => Control(Libc.EPOLL_CTL_DEL, socket, 0, 0);

    /// <summary>Makes every further call of <see cref="Wait"/> return at once: for the end.</summary>
    public void Wake()
    {
        ulong one = 1;
        _ = Libc.write(_wake, &one, sizeof(ulong));
    }

    /// <summary>Whether a socket's other side has closed its half or all of the connection, whatever is still to be read.</summary>
    public static bool HasHungUp(SafeHandle socket)
    {
        using var held = new HeldDescriptor(socket);
        // A reset is reported without being asked for.
        var state = new Libc.pollfd { fd = held.Fd, events = Libc.POLLRDHUP };
        return Libc.poll(&state, 1, 0) > 0;
    }

    /// <param name="keys">Filled with the keys of those that have something.</param>
    /// <param name="limit">Null: none.</param>
    /// <returns>How many keys.</returns>
    public int Wait(Span<ulong> keys, TimeSpan? limit)
    {
        int count;
        fixed (byte* events = _events)
        {
            count = Libc.epoll_wait(_poll, events, Math.Min(keys.Length, MaxEvents), limit is { } time ? (int)time.TotalMilliseconds : -1);
        }
        for (var i = 0; i < count; i++)
        {
            keys[i] = MemoryMarshal.Read<ulong>(_events.AsSpan((i * Layout.Size) + Layout.Key));
        }
        // A signal has interrupted it.
        return Math.Max(0, count);
    }

    /// <summary>No thread may be in <see cref="Wait"/> by then.</summary>
    public void Dispose()
    {
        _poll.Dispose();
        _wake.Dispose();
    }

    private static FileDescriptor Check(FileDescriptor made, string operation) =>
        made.IsInvalid ? throw Failure(operation) : made;

    private static IOException Failure(string operation) => new($"Cannot {operation}: {Errno.Describe(Marshal.GetLastPInvokeError())}");

    private void Control(int operation, SafeHandle socket, uint events, ulong key)
    {
        Span<byte> wanted = stackalloc byte[Layout.Size];
        BinaryPrimitives.TryWriteUInt32LittleEndian(wanted, events);
        MemoryMarshal.Write(wanted[Layout.Key..], key);
        fixed (byte* pointer = wanted)
        {
            if (Libc.epoll_ctl(_poll, operation, socket, pointer) < 0)
            {
                throw Failure("wait for a socket");
            }
        }
    }
}
