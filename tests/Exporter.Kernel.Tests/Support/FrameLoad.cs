namespace Exporter.Kernel.Tests.Support;

/// <summary>Sends frames on the wire of an interface without a pause, from two threads.</summary>
internal sealed class FrameLoad : IDisposable
{
    private static readonly byte[] Frame = Packet.Ethernet().Ipv4().Udp().Bytes(100).ToArray();

    private readonly List<Thread> _threads;
    private ulong _sent;
    private volatile bool _stop;

    internal FrameLoad(UplinkWire uplink)
    {
        _threads = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() => Send(uplink)))];
        _threads.ForEach(thread => thread.Start());
    }

    /// <summary>Ends it, and returns how many were sent.</summary>
    internal ulong Stop()
    {
        Dispose();
        return _sent;
    }

    public void Dispose()
    {
        _stop = true;
        _threads.ForEach(thread => thread.Join());
    }

    private void Send(UplinkWire uplink)
    {
        using var wire = uplink.OpenWire();
        while (!_stop)
        {
            // A veth has less room while XDP is attached or detached.
            if (wire.TrySend(Frame))
            {
                Interlocked.Increment(ref _sent);
            }
        }
    }
}
