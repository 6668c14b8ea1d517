using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// A way between the host and a pod beside their pair, through a TUN device at each end and the test itself, which holds every packet
/// for a while and notes when the three of a handshake passed: the wire and its capture in one.
/// </summary>
internal sealed class DelayedPath : IDisposable
{
    private const int MaxPacket = 2048;

    private static int s_number;

    private readonly int _number = Interlocked.Increment(ref s_number);
    private readonly TunDevice _hostEnd;
    private readonly TunDevice _podEnd;
    private readonly List<Thread> _threads = [];
    private readonly BlockingCollection<(long Due, byte[] Packet)> _toPod = [];
    private readonly BlockingCollection<(long Due, byte[] Packet)> _toHost = [];

    internal DelayedPath(Pod pod, TimeSpan delay)
    {
        Delay = delay;
        _hostEnd = TunDevice.Open($"pnttun{_number}");
        _podEnd = pod.Namespace.Run(() => TunDevice.Open($"pnttun{_number}"));
        Shell.Ip($"link set pnttun{_number} up");
        Shell.Ip($"addr add {HostAddress} peer {Address} dev pnttun{_number}");
        pod.Namespace.Ip($"link set pnttun{_number} up");
        pod.Namespace.Ip($"addr add {Address} peer {HostAddress} dev pnttun{_number}");
        Start(() => Receive(_hostEnd, _toPod));
        Start(() => Receive(_podEnd, _toHost));
        Start(() => Send(_toPod, _podEnd));
        Start(() => Send(_toHost, _hostEnd));
    }

    internal TimeSpan Delay { get; }

    internal IPAddress HostAddress => IPAddress.Parse($"10.190.{_number}.1");

    internal IPAddress Address => IPAddress.Parse($"10.190.{_number}.2");

    /// <summary>When the host's SYN came out of its stack, the pod's SYN-ACK went into it, and so on; by Stopwatch.</summary>
    internal ConcurrentDictionary<string, long> Seen { get; } = [];

    public void Dispose()
    {
        _hostEnd.Stop();
        _podEnd.Stop();
        _toPod.CompleteAdding();
        _toHost.CompleteAdding();
        _threads.ForEach(thread => thread.Join());
        _hostEnd.Dispose();
        _podEnd.Dispose();
        _toPod.Dispose();
        _toHost.Dispose();
    }

    private void Start(Action action)
    {
        var thread = new Thread(() => action()) { Priority = ThreadPriority.Highest };
        _threads.Add(thread);
        thread.Start();
    }

    private void Receive(TunDevice device, BlockingCollection<(long Due, byte[] Packet)> queue)
    {
        var buffer = new byte[MaxPacket];
        while (device.TryRead(buffer, out var length))
        {
            var now = Stopwatch.GetTimestamp();
            Seen.TryAdd($"{Name(buffer)} sent", now);
            try
            {
                queue.Add((now + (long)(Delay.TotalSeconds * Stopwatch.Frequency), buffer[..length]));
            }
            catch (InvalidOperationException)
            {
                // The path is being closed.
                return;
            }
        }
    }

    private void Send(BlockingCollection<(long Due, byte[] Packet)> queue, TunDevice device)
    {
        foreach (var (due, packet) in queue.GetConsumingEnumerable())
        {
            // The wire is what is simulated here: this is its length.
            while (Stopwatch.GetTimestamp() is var now && now < due)
            {
                if ((due - now) * 1000 / Stopwatch.Frequency > 2)
                {
                    Thread.Sleep(1);
                }
            }
            Seen.TryAdd($"{Name(packet)} delivered", Stopwatch.GetTimestamp());
            device.Write(packet);
        }
    }

    /// <summary>By TCP's flags, of an IPv4 packet without options.</summary>
    private static string Name(byte[] packet) => packet.Length < 40 || packet[9] != 6 ? "other" : (packet[33] & 0x12) switch
    {
        0x02 => "SYN",
        0x12 => "SYN-ACK",
        _ => "ACK",
    };

    /// <summary>tun(4), Documentation/networking/tuntap.rst.</summary>
    private sealed class TunDevice : IDisposable
    {
        private const int O_RDWR = 2;
        private const int O_NONBLOCK = 0x800;
        private const nuint TUNSETIFF = 0x400454ca;
        private const short IFF_TUN = 1;
        private const short IFF_NO_PI = 0x1000;
        private const short POLLIN = 1;
        private const int PollMilliseconds = 50;

        private readonly SafeFileHandle _file;
        private volatile bool _stopped;

        private TunDevice(SafeFileHandle file) => _file = file;

        internal static TunDevice Open(string name)
        {
            var file = new SafeFileHandle(open("/dev/net/tun", O_RDWR | O_NONBLOCK), ownsHandle: true);
            // struct ifreq: a name of 16 bytes, and flags.
            var request = new byte[40];
            Encoding.ASCII.GetBytes(name, request);
            BitConverter.TryWriteBytes(request.AsSpan(16), (short)(IFF_TUN | IFF_NO_PI));
            return !file.IsInvalid && ioctl((int)file.DangerousGetHandle(), TUNSETIFF, request) == 0
                ? new(file)
                : throw new InvalidOperationException($"A TUN device cannot be made: errno {Marshal.GetLastPInvokeError()}");
        }

        /// <summary>Waits for a packet; false when it is to stop.</summary>
        internal bool TryRead(byte[] buffer, out int length)
        {
            while (!_stopped)
            {
                var poll = new PollFd { Fd = (int)_file.DangerousGetHandle(), Events = POLLIN };
                if (TunDevice.poll(ref poll, 1, PollMilliseconds) > 0 && read(poll.Fd, buffer, (nuint)buffer.Length) is > 0 and var count)
                {
                    length = (int)count;
                    return true;
                }
            }
            length = 0;
            return false;
        }

        /// <summary>A device that is down takes nothing, as a wire that is cut.</summary>
        internal void Write(byte[] packet) => _ = write((int)_file.DangerousGetHandle(), packet, (nuint)packet.Length);

        /// <summary>Has the reader end.</summary>
        internal void Stop() => _stopped = true;

        public void Dispose() => _file.Dispose();

        [StructLayout(LayoutKind.Sequential)]
        private struct PollFd
        {
            internal int Fd;
            internal short Events;
            internal short Revents;
        }

        [DllImport("libc", SetLastError = true)]
        private static extern int open([MarshalAs(UnmanagedType.LPStr)] string path, int flags);

        [DllImport("libc", SetLastError = true)]
        private static extern int ioctl(int fd, nuint request, byte[] argument);

        [DllImport("libc", SetLastError = true)]
        private static extern int poll(ref PollFd fds, nuint count, int timeout);

        [DllImport("libc", SetLastError = true)]
        private static extern nint read(int fd, byte[] buffer, nuint count);

        [DllImport("libc", SetLastError = true)]
        private static extern nint write(int fd, byte[] buffer, nuint count);
    }
}
