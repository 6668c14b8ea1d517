using System.Runtime.InteropServices;
using Exporter.Bpf.Native;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>
/// A socket that asks rtnetlink, or another netlink family, and waits for the answer, in the network namespace of the thread that opened it. Used by one
/// thread at a time.
/// </summary>
internal sealed unsafe class NetlinkChannel : IDisposable
{
    private const int DumpAttempts = 5;

    private readonly FileDescriptor _socket;
    private readonly byte[] _request = new byte[1024];
    private readonly byte[] _response = new byte[64 << 10];
    private uint _sequence;

    /// <summary>Whether the kernel said in the last answer that it was inconsistent (NLM_F_DUMP_INTR).</summary>
    private bool _interrupted;

    /// <param name="family">NETLINK_ROUTE or NETLINK_NETFILTER.</param>
    internal NetlinkChannel(int family = Libc.NETLINK_ROUTE)
    {
        _socket = NetlinkSocket.Open(family);
        // Without strict checking the kernel would ignore IFA_TARGET_NETNSID and answer for this namespace.
        foreach (var option in (ReadOnlySpan<int>)[Libc.NETLINK_GET_STRICT_CHK, Libc.NETLINK_EXT_ACK, Libc.NETLINK_CAP_ACK])
        {
            if (NetlinkSocket.SetOption(_socket, Libc.SOL_NETLINK, option, 1) is var errno and not 0)
            {
                _socket.Dispose();
                throw new NetlinkException($"set the netlink socket option {option}", errno);
            }
        }
    }

    internal delegate void MessageHandler(in NetlinkMessage message);

    internal delegate T Parser<T>(in NetlinkMessage message);

    private delegate void Collector<T>(in NetlinkMessage message, List<T> results);

    public void Dispose() => _socket.Dispose();

    /// <summary>Begins a request, in the place of the one before.</summary>
    internal NetlinkWriter Begin(ushort type, ushort flags) => new(_request, type, flags);

    /// <summary>Sends a request that is answered by an acknowledgement. Returns its errno, or 0.</summary>
    internal int Acknowledge(Span<byte> request, out string reason) => Exchange(request, out reason, static (in NetlinkMessage _) => { });

    /// <summary>Sends a request that is answered by a list. Messages that <paramref name="parse"/> has null for are not in it.</summary>
    /// <exception cref="NetlinkException">The kernel refused; <paramref name="operation"/> says what.</exception>
    internal List<T> Dump<T>(Span<byte> request, string operation, Parser<T?> parse)
        where T : class => DumpAll<T>(request, operation, (in NetlinkMessage message, List<T> results) =>
        {
            if (parse(message) is { } result)
            {
                results.Add(result);
            }
        });

    /// <inheritdoc cref="Dump{T}(Span{byte}, string, Parser{T})"/>
    internal List<T> Dump<T>(Span<byte> request, string operation, Parser<T?> parse)
        where T : struct => DumpAll<T>(request, operation, (in NetlinkMessage message, List<T> results) =>
        {
            if (parse(message) is { } result)
            {
                results.Add(result);
            }
        });

    private List<T> DumpAll<T>(Span<byte> request, string operation, Collector<T> collect)
    {
        for (var attempt = 1; ; attempt++)
        {
            var results = new List<T>();
            var errno = Exchange(request, out var reason, (in NetlinkMessage message) => collect(message, results));
            if (errno != 0)
            {
                throw new NetlinkException(operation, errno, reason);
            }
            // Something changed while the kernel listed, and something may be missing. On a busy node the list has to do after some
            // attempts; a caller that needs all of it lists again from time to time.
            if (!_interrupted || attempt == DumpAttempts)
            {
                return results;
            }
        }
    }

    /// <summary>
    /// Sends a request and hands over the messages of the answer. Returns the errno of the acknowledgement, or 0. A request
    /// without NLM_F_ACK or NLM_F_DUMP is answered by one message or an error.
    /// </summary>
    internal int Exchange(Span<byte> request, out string reason, MessageHandler handle)
    {
        reason = "";
        _interrupted = false;
        var sequence = ++_sequence;
        var flags = (ushort)(MemoryMarshal.Read<ushort>(request[6..]) | NLM_F_REQUEST);
        MemoryMarshal.Write(request[6..], flags);
        MemoryMarshal.Write(request[8..], sequence);
        var single = (flags & (NLM_F_ACK | NLM_F_DUMP)) == 0;
        fixed (byte* start = request)
        {
            if (Libc.send(_socket, start, (nuint)request.Length, 0) < 0)
            {
                return Marshal.GetLastPInvokeError();
            }
        }
        while (true)
        {
            var errno = Receive(out var length);
            if (errno != 0)
            {
                return errno;
            }
            var messages = new NetlinkMessages(_response.AsSpan(0, length));
            while (messages.TryRead(out var message))
            {
                if (message.Sequence != sequence)
                {
                    // The rest of an answer that an earlier exchange gave up on.
                    continue;
                }
                _interrupted |= (message.Flags & NLM_F_DUMP_INTR) != 0;
                switch (message.Type)
                {
                    case NLMSG_ERROR:
                        reason = ReadReason(message);
                        return -message.Body<int>();
                    case NLMSG_DONE:
                        return message.Payload.Length >= sizeof(int) ? -message.Body<int>() : 0;
                    default:
                        handle(message);
                        break;
                }
                if (single)
                {
                    return 0;
                }
            }
        }
    }

    /// <summary>Receives one datagram into the response. Returns an errno, or 0.</summary>
    private int Receive(out int length)
    {
        while (true)
        {
            fixed (byte* start = _response)
            {
                length = (int)Libc.recv(_socket, start, (nuint)_response.Length, Libc.MSG_TRUNC);
            }
            if (length >= 0)
            {
                // The kernel makes its datagrams fit 32 KiB (netlink_dump), so a longer one would be a single answer of no use.
                return length > _response.Length ? Errno.ENOBUFS : 0;
            }
            if (Marshal.GetLastPInvokeError() is var errno and not Errno.EINTR)
            {
                return errno;
            }
        }
    }

    /// <summary>The kernel's own words, where it has any (NETLINK_EXT_ACK).</summary>
    private static string ReadReason(in NetlinkMessage message)
    {
        if ((message.Flags & NLM_F_ACK_TLVS) == 0)
        {
            return "";
        }
        // struct nlmsgerr: the error and the header of the request, which NETLINK_CAP_ACK keeps from being the whole request.
        const int Length = sizeof(int) + MessageHeaderLength;
        var attributes = new NetlinkAttributes(message.Payload[Math.Min(message.Payload.Length, Length)..]);
        while (attributes.TryRead(out var attribute))
        {
            if (attribute.Type == NLMSGERR_ATTR_MSG)
            {
                return attribute.Text;
            }
        }
        return "";
    }
}
