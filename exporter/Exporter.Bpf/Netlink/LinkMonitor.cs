using System.Runtime.InteropServices;
using Exporter.Bpf.Native;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>An interface or a route of this network namespace has changed.</summary>
public abstract record LinkEvent;

/// <summary>An interface of this namespace is new or has changed.</summary>
public sealed record LinkChanged(Link Link) : LinkEvent;

/// <summary>An interface of this namespace is gone: deleted, or moved to another namespace.</summary>
public sealed record LinkRemoved(Link Link) : LinkEvent;

/// <summary>
/// A default route, or a next-hop object that a route may use, is new in this namespace, has changed, or is gone: see
/// <see cref="RouteClient.GetDefaultInterfaces"/>. The kernel sends no message for the IPv4 routes and next-hop objects that go with their interface
/// when it is deleted or set down (net/ipv4/fib_frontend.c, fib_disable_ip; net/ipv4/nexthop.c, nexthop_flush_dev): <see cref="LinkChanged"/> and
/// <see cref="LinkRemoved"/> stand for these.
/// </summary>
public sealed record RoutesChanged : LinkEvent;

/// <summary>The reason why a wait for events ended.</summary>
public enum LinkWait
{
    Events,

    /// <summary>Nothing came in the time given.</summary>
    TimedOut,

    /// <summary>
    /// The kernel had more to say than the socket's buffer holds (ENOBUFS): events are missing, and those that were left are gone as
    /// well. Events that come from now on follow; list again.
    /// </summary>
    Overrun,

    /// <summary><see cref="LinkMonitor.Stop"/> was called.</summary>
    Stopped,
}

/// <summary>
/// Subscribes to rtnetlink's events. Open it before listing, so that what changes in between is not missed. Used by one
/// thread, which another may stop.
/// </summary>
public sealed unsafe class LinkMonitor : IDisposable
{
    private const int DatagramLength = 64 << 10;

    private readonly FileDescriptor _socket;
    private readonly FileDescriptor _stop;
    private readonly byte[] _datagram = new byte[DatagramLength];

    /// <param name="receiveBuffer">How many bytes of events the kernel keeps for a reader that is late.</param>
    /// <param name="withRoutes">Whether to receive <see cref="RoutesChanged"/> as well.</param>
    public LinkMonitor(int receiveBuffer = 4 << 20, bool withRoutes = false)
    {
        _socket = NetlinkSocket.Open();
        _stop = Libc.eventfd(0, Libc.EFD_CLOEXEC);
        if (_stop.IsInvalid)
        {
            var errno = Marshal.GetLastPInvokeError();
            Dispose();
            throw new NetlinkException("make an eventfd", errno);
        }
        SetOption(Libc.SOL_SOCKET, Libc.SO_RCVBUFFORCE, receiveBuffer, "size the event buffer");
        Subscribe(RTNLGRP_LINK);
        if (withRoutes)
        {
            Subscribe(RTNLGRP_IPV4_ROUTE);
            Subscribe(RTNLGRP_IPV6_ROUTE);
            // Before Linux 5.3 there are no next-hop objects, and there is no such group (net/netlink/af_netlink.c, netlink_setsockopt).
            Subscribe(RTNLGRP_NEXTHOP, accepted: Errno.EINVAL);
        }
    }

    /// <summary>Waits for events and appends them, in the order they happened.</summary>
    /// <param name="timeout">At most this long; negative for ever.</param>
    public LinkWait Receive(List<LinkEvent> events, TimeSpan timeout)
    {
        var fds = stackalloc Libc.pollfd[2];
        fds[0] = new() { fd = (int)_socket.DangerousGetHandle(), events = Libc.POLLIN };
        fds[1] = new() { fd = (int)_stop.DangerousGetHandle(), events = Libc.POLLIN };
        var ready = Libc.poll(fds, 2, timeout < TimeSpan.Zero ? -1 : (int)Math.Min(timeout.TotalMilliseconds, int.MaxValue));
        if (ready < 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            return errno == Errno.EINTR ? LinkWait.TimedOut : throw new NetlinkException("wait for events", errno);
        }
        if (fds[1].revents != 0)
        {
            return LinkWait.Stopped;
        }
        return ready == 0 ? LinkWait.TimedOut : ReceiveAll(events);
    }

    /// <summary>Ends the wait of the thread that receives, now and from now on.</summary>
    public void Stop()
    {
        var one = 1ul;
        Libc.write(_stop, &one, sizeof(ulong));
    }

    public void Dispose()
    {
        _socket.Dispose();
        _stop.Dispose();
    }

    /// <summary>
    /// Everything that waits in the socket, so that a burst is one wake-up. After an overrun the kernel drops every event, without
    /// saying so again, until the socket is empty (net/netlink/af_netlink.c, NETLINK_S_CONGESTED). So it is emptied, and its events are dropped: a
    /// list that is made afterwards is newer.
    /// </summary>
    private LinkWait ReceiveAll(List<LinkEvent> events)
    {
        var overrun = false;
        var before = events.Count;
        while (true)
        {
            switch (ReceiveOne(events))
            {
                case 0:
                    break;
                case Errno.EINTR:
                    break;
                case Errno.EAGAIN when overrun:
                    events.RemoveRange(before, events.Count - before);
                    return LinkWait.Overrun;
                case Errno.EAGAIN:
                    return LinkWait.Events;
                case Errno.ENOBUFS:
                    overrun = true;
                    break;
                case var errno:
                    throw new NetlinkException("receive events", errno);
            }
        }
    }

    /// <summary>One datagram. Returns the errno, or 0.</summary>
    private int ReceiveOne(List<LinkEvent> events)
    {
        fixed (byte* datagram = _datagram)
        {
            var vector = new Libc.iovec { iov_base = datagram, iov_len = DatagramLength };
            var header = new Libc.msghdr { msg_iov = &vector, msg_iovlen = 1 };
            var length = Libc.recvmsg(_socket, &header, Libc.MSG_DONTWAIT);
            if (length < 0)
            {
                return Marshal.GetLastPInvokeError();
            }
            if ((header.msg_flags & Libc.MSG_TRUNC) != 0)
            {
                return Errno.ENOBUFS;
            }
            Parse(_datagram.AsSpan(0, (int)length), events);
            return 0;
        }
    }

    private static void Parse(ReadOnlySpan<byte> datagram, List<LinkEvent> events)
    {
        var messages = new NetlinkMessages(datagram);
        while (messages.TryRead(out var message))
        {
            switch (message.Type)
            {
                case RTM_NEWLINK when Link.Parse(message) is { } link:
                    events.Add(new LinkChanged(link));
                    break;
                case RTM_DELLINK when Link.Parse(message) is { } link:
                    events.Add(new LinkRemoved(link));
                    break;
                case RTM_NEWROUTE or RTM_DELROUTE when message.Body<RtMessage>().DestinationLength == 0:
                case RTM_NEWNEXTHOP or RTM_DELNEXTHOP:
                    events.Add(new RoutesChanged());
                    break;
            }
        }
    }

    private void Subscribe(int group, int accepted = 0) =>
        SetOption(Libc.SOL_NETLINK, Libc.NETLINK_ADD_MEMBERSHIP, group, $"subscribe to group {group}", accepted);

    /// <param name="accepted">An errno that is not an error.</param>
    private void SetOption(int level, int option, int value, string operation, int accepted = 0)
    {
        if (NetlinkSocket.SetOption(_socket, level, option, value) is var errno and not 0 && errno != accepted)
        {
            Dispose();
            throw new NetlinkException(operation, errno);
        }
    }
}
