using System.Buffers.Binary;
using Exporter.Bpf.Native;
using static Exporter.Bpf.Netlink.Nfnetlink;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>How a question to conntrack ended.</summary>
public enum ConntrackResult
{
    /// <summary>There is such a connection. Its backend is the destination itself where nothing is translated.</summary>
    Found,

    /// <summary>There is no such connection in the default zone: it has ended, is in another zone, or another program translates addresses.</summary>
    NotFound,

    /// <summary>The kernel has no nf_conntrack_netlink and could not load it.</summary>
    NoModule,

    /// <summary>The kernel asks for CAP_NET_ADMIN in the user namespace that owns this network namespace.</summary>
    Refused,
}

/// <summary>
/// Asks conntrack where a connection really goes, one connection at a time, in the network namespace of the thread that asks first. Allocates nothing for a
/// question. Used by one thread at a time.
/// </summary>
/// <remarks>
/// The kernel loads a missing module by itself, with a process for each question. After <see cref="ConntrackResult.NoModule"/> and
/// <see cref="ConntrackResult.Refused"/> it is therefore asked again only a minute later, and the same is answered meanwhile.
/// </remarks>
public sealed class ConntrackClient : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    private readonly TimeProvider _time;
    private readonly ConntrackAnswer _answer = new();
    private readonly NetlinkChannel.MessageHandler _read;
    private NetlinkChannel? _channel;
    private (ConntrackResult Result, long Since)? _failure;

    public ConntrackClient(TimeProvider time) => (_time, _read) = (time, _answer.Read);

    public void Dispose() => _channel?.Dispose();

    /// <summary>Asks for the connection that a client began, by the addresses and ports that the client sees.</summary>
    /// <param name="protocol">IANA's number: TCP, UDP or SCTP.</param>
    /// <param name="source">4 or 16 bytes in the order of the network.</param>
    /// <param name="destination">As many bytes.</param>
    /// <param name="backend">Has room for as many bytes. Has the address that answers, where it was found.</param>
    /// <param name="backendPort">The port that answers, or 0.</param>
    /// <exception cref="NetlinkException">The kernel gave another error.</exception>
    public ConntrackResult Find(
        byte protocol, ReadOnlySpan<byte> source, ushort sourcePort, ReadOnlySpan<byte> destination, ushort destinationPort, Span<byte> backend, out ushort backendPort)
    {
        backendPort = 0;
        if (_failure is { } failure && _time.GetElapsedTime(failure.Since) < Pause)
        {
            return failure.Result;
        }
        _answer.Begin(source.Length);
        var (errno, reason) = (Open(), "");
        if (errno == 0)
        {
            var writer = _channel!.Begin(Conntrack(IPCTNL_MSG_CT_GET), 0);
            WriteRequest(ref writer, protocol, source, sourcePort, destination, destinationPort);
            errno = _channel.Exchange(writer.Message, out reason, _read);
        }
        var result = Judge(errno, reason, _answer.IsComplete);
        _failure = result is ConntrackResult.NoModule or ConntrackResult.Refused ? (result, _time.GetTimestamp()) : null;
        if (result == ConntrackResult.Found)
        {
            _answer.Address.CopyTo(backend);
            backendPort = _answer.Port;
        }
        return result;
    }

    /// <summary>nfnetlink answers EINVAL for a subsystem that is not there (net/netfilter/nfnetlink.c, nfnetlink_rcv_msg), and the request itself has all that it needs.</summary>
    internal static ConntrackResult Judge(int errno, string reason, bool isComplete) => errno switch
    {
        0 => isComplete ? ConntrackResult.Found : ConntrackResult.NotFound,
        Errno.ENOENT => ConntrackResult.NotFound,
        Errno.EINVAL or Errno.EPROTONOSUPPORT or Errno.EOPNOTSUPP => ConntrackResult.NoModule,
        Errno.EPERM or Errno.EACCES => ConntrackResult.Refused,
        _ => throw new NetlinkException("ask conntrack for a connection", errno, reason),
    };

    /// <summary>Writes what follows the header: the tuple of the direction in which the connection began.</summary>
    internal static void WriteRequest(
        ref NetlinkWriter writer, byte protocol, ReadOnlySpan<byte> source, ushort sourcePort, ReadOnlySpan<byte> destination, ushort destinationPort)
    {
        var isIpv4 = source.Length == sizeof(uint);
        writer.Body(new NfGenMessage(isIpv4 ? AF_INET : AF_INET6, NFNETLINK_V0, 0));
        var tuple = writer.BeginNested(CTA_TUPLE_ORIG);
        var addresses = writer.BeginNested(CTA_TUPLE_IP);
        writer.Attribute(isIpv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, source);
        writer.Attribute(isIpv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, destination);
        writer.EndNested(addresses);
        var ports = writer.BeginNested(CTA_TUPLE_PROTO);
        writer.Attribute(CTA_PROTO_NUM, protocol);
        writer.Attribute(CTA_PROTO_SRC_PORT, BinaryPrimitives.ReverseEndianness(sourcePort));
        writer.Attribute(CTA_PROTO_DST_PORT, BinaryPrimitives.ReverseEndianness(destinationPort));
        writer.EndNested(ports);
        writer.EndNested(tuple);
    }

    /// <summary>Opens the socket if it is not open. Returns an errno, or 0.</summary>
    private int Open()
    {
        try
        {
            _channel ??= new(Libc.NETLINK_NETFILTER);
            return 0;
        }
        catch (NetlinkException e)
        {
            return e.ErrorNumber;
        }
    }
}
