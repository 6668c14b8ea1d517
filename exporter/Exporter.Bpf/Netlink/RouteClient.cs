using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Exporter.Bpf.Native;
using Exporter.Bpf.Tc;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>
/// Asks rtnetlink and waits for the answer: links, addresses, statistics, namespaces, TC filters, all seen from the network
/// namespace of the thread that opened it. Used by one thread at a time.
/// </summary>
public sealed unsafe class RouteClient : IDisposable
{
    private const int DumpAttempts = 5;

    private readonly FileDescriptor _socket;
    private readonly byte[] _request = new byte[1024];
    private readonly byte[] _response = new byte[64 << 10];
    private uint _sequence;

    /// <summary>Whether the kernel said in the last answer that it was inconsistent (NLM_F_DUMP_INTR).</summary>
    private bool _interrupted;

    public RouteClient()
    {
        _socket = NetlinkSocket.Open();
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

    private delegate void MessageHandler(in NetlinkMessage message);

    /// <summary>All interfaces of this namespace.</summary>
    public List<Link> GetLinks()
    {
        var writer = new NetlinkWriter(_request, RTM_GETLINK, NLM_F_DUMP);
        writer.Body(default(IfInfoMessage));
        writer.Attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        return Dump(writer.Message, "list the interfaces", static (in NetlinkMessage message) => Link.Parse(message));
    }

    /// <summary>One interface, or null where there is none of that index.</summary>
    public Link? GetLink(int ifindex)
    {
        var writer = new NetlinkWriter(_request, RTM_GETLINK, 0);
        writer.Body(new IfInfoMessage { Ifindex = ifindex });
        writer.Attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        Link? link = null;
        var errno = Exchange(writer.Message, out var reason, (in NetlinkMessage message) => link = Link.Parse(message));
        return errno is 0 or Errno.ENODEV ? link : throw new NetlinkException($"ask for interface {ifindex}", errno, reason);
    }

    /// <summary>The counters of all interfaces of this namespace.</summary>
    public List<LinkStatistics> GetStatistics() => Dump(
        StatisticsRequest(NLM_F_DUMP, ifindex: 0),
        "list the interfaces' statistics",
        static (in NetlinkMessage message) => LinkStatistics.Parse(message));

    /// <summary>One interface's counters, or null where there is none of that index.</summary>
    public LinkStatistics? GetStatistics(int ifindex)
    {
        LinkStatistics? statistics = null;
        var errno = Exchange(StatisticsRequest(0, ifindex), out var reason, (in NetlinkMessage message) => statistics = LinkStatistics.Parse(message));
        return errno is 0 or Errno.ENODEV ? statistics : throw new NetlinkException($"ask for the statistics of interface {ifindex}", errno, reason);
    }

    /// <summary>
    /// The addresses inside another network namespace, without entering it. The kernel asks for CAP_NET_ADMIN in the user
    /// namespace that owns it.
    /// </summary>
    /// <param name="namespaceId">As <see cref="Link.PeerNamespaceId"/>.</param>
    /// <returns>Empty where there is no such namespace any more.</returns>
    public List<LinkAddress> GetAddresses(int namespaceId)
    {
        var writer = new NetlinkWriter(_request, RTM_GETADDR, NLM_F_DUMP);
        writer.Body(default(IfAddrMessage));
        writer.Attribute(IFA_TARGET_NETNSID, namespaceId);
        try
        {
            return Dump(writer.Message, $"list the addresses in namespace {namespaceId}", static (in NetlinkMessage message) => LinkAddress.Parse(message));
        }
        catch (NetlinkException e) when (e.ErrorNumber == Errno.EINVAL)
        {
            return [];
        }
    }

    /// <summary>The id that a network namespace has in this one, or null where it was not given one: nothing links to it.</summary>
    /// <param name="namespaceFile">An open /run/netns/NAME or /proc/PID/ns/net.</param>
    public int? GetNamespaceId(SafeHandle namespaceFile)
    {
        var held = false;
        try
        {
            namespaceFile.DangerousAddRef(ref held);
            var writer = new NetlinkWriter(_request, RTM_GETNSID, 0);
            writer.Body(default(RtGenMessage));
            writer.Attribute(NETNSA_FD, (int)namespaceFile.DangerousGetHandle());
            int? id = null;
            var errno = Exchange(writer.Message, out var reason, (in NetlinkMessage message) =>
            {
                var attributes = message.Attributes<RtGenMessage>();
                while (attributes.TryRead(out var attribute))
                {
                    if (attribute.Type == NETNSA_NSID && attribute.Int32 is >= 0 and var value)
                    {
                        id = value;
                    }
                }
            });
            // EINVAL: the file is no network namespace (any more).
            return errno is 0 or Errno.EINVAL ? id : throw new NetlinkException("ask for a namespace's id", errno, reason);
        }
        finally
        {
            if (held)
            {
                namespaceFile.DangerousRelease();
            }
        }
    }

    public void Dispose() => _socket.Dispose();

    /// <summary>The kinds of the interfaces' <c>ffff:</c> qdiscs, by the interface's index.</summary>
    internal Dictionary<int, IngressQdisc> GetIngressQdiscs()
    {
        var writer = new NetlinkWriter(_request, RTM_GETQDISC, NLM_F_DUMP);
        writer.Body(default(TcMessage));
        var qdiscs = new Dictionary<int, IngressQdisc>();
        foreach (var (ifindex, qdisc) in Dump(writer.Message, "list the qdiscs", static (in NetlinkMessage message) => ParseIngressQdisc(message)))
        {
            qdiscs[ifindex] = qdisc;
        }
        return qdiscs;
    }

    /// <summary>Gives an interface a clsact qdisc unless it has an <c>ffff:</c> qdisc already. Returns the errno, or 0.</summary>
    /// <param name="qdisc">The kind of the qdisc that it has now.</param>
    internal int EnsureIngressQdisc(int ifindex, out IngressQdisc qdisc)
    {
        qdisc = IngressQdisc.Clsact;
        var writer = new NetlinkWriter(_request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
        writer.Body(new TcMessage { Ifindex = ifindex, Handle = TC_H_CLSACT & 0xffff_0000, Parent = TC_H_CLSACT });
        writer.Attribute(TCA_KIND, "clsact");
        if (Exchange(writer.Message, out _, IgnoreMessage) is var errno and not Errno.EEXIST)
        {
            return errno;
        }
        // What is there may be a qdisc of the other kind, which has the same handle.
        // Without NLM_F_ECHO the kernel only notifies others of the answer (net/sched/sch_api.c, qdisc_get_notify).
        writer = new NetlinkWriter(_request, RTM_GETQDISC, NLM_F_ECHO | NLM_F_ACK);
        writer.Body(new TcMessage { Ifindex = ifindex, Parent = TC_H_CLSACT });
        IngressQdisc? found = null;
        errno = Exchange(writer.Message, out _, (in NetlinkMessage message) => found = ParseIngressQdisc(message)?.Qdisc);
        qdisc = found ?? qdisc;
        return errno != 0 ? errno : found is null ? Errno.ENOENT : 0;
    }

    /// <summary>
    /// Whether the kernel has a kind of ingress qdisc, or can load its module. The loopback interface is asked for one with a block that cannot be:
    /// the kernel looks for the kind first, and makes nothing (net/sched/sch_api.c, qdisc_create and qdisc_block_indexes_set).
    /// </summary>
    internal bool HasQdisc(string kind)
    {
        const int LoopbackIfindex = 1;
        var writer = new NetlinkWriter(_request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
        writer.Body(new TcMessage { Ifindex = LoopbackIfindex, Handle = TC_H_CLSACT & 0xffff_0000, Parent = TC_H_CLSACT });
        writer.Attribute(TCA_KIND, kind);
        writer.Attribute(TCA_INGRESS_BLOCK, 0);
        return Exchange(writer.Message, out _, IgnoreMessage) != Errno.ENOENT;
    }

    /// <summary>
    /// Whether the kernel has the BPF classifier, or can load its module. Only a qdisc can be asked for a filter, so the loopback interface has
    /// one meanwhile if it has none. The filter has no options: the kernel looks for the classifier first, and makes nothing
    /// (net/sched/cls_api.c, tc_new_tfilter, and net/sched/cls_bpf.c, cls_bpf_change).
    /// </summary>
    internal bool HasBpfClassifier()
    {
        const int LoopbackIfindex = 1;
        var isOurs = !GetIngressQdiscs().ContainsKey(LoopbackIfindex);
        if (EnsureIngressQdisc(LoopbackIfindex, out _) != 0)
        {
            // Another reason keeps filters from being attached, which names itself where they are.
            return true;
        }
        var writer = new NetlinkWriter(_request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
        writer.Body(FilterMessage(LoopbackIfindex, TcDirection.Ingress, default));
        writer.Attribute(TCA_KIND, "bpf");
        var errno = Exchange(writer.Message, out _, IgnoreMessage);
        if (isOurs && GetFilters(LoopbackIfindex, TcDirection.Ingress).Count + GetFilters(LoopbackIfindex, TcDirection.Egress).Count == 0)
        {
            writer = new NetlinkWriter(_request, RTM_DELQDISC, NLM_F_ACK);
            writer.Body(new TcMessage { Ifindex = LoopbackIfindex, Handle = TC_H_CLSACT & 0xffff_0000, Parent = TC_H_CLSACT });
            Exchange(writer.Message, out _, IgnoreMessage);
        }
        return errno != Errno.ENOENT;
    }

    /// <summary>
    /// The BPF filters of an interface's <c>ffff:</c> qdisc in the order they run; none where it has no such qdisc, or is gone. Where the qdisc is
    /// of the kind <see cref="IngressQdisc.Ingress"/> the kernel lists the filters of ingress for either direction.
    /// </summary>
    internal List<TcFilter> GetFilters(int ifindex, TcDirection direction)
    {
        var writer = new NetlinkWriter(_request, RTM_GETTFILTER, NLM_F_DUMP);
        writer.Body(new TcMessage { Ifindex = ifindex, Parent = Parent(direction) });
        try
        {
            return Dump(writer.Message, $"list the filters of interface {ifindex}", static (in NetlinkMessage message) => ParseFilter(message));
        }
        catch (NetlinkException e) when (e.ErrorNumber is Errno.ENODEV or Errno.EINVAL or Errno.ENOENT)
        {
            return [];
        }
    }

    /// <summary>Adds a direct-action BPF filter. Returns the errno, or 0.</summary>
    internal int AddFilter(int ifindex, TcDirection direction, in TcFilter filter, int programFd, out string reason) =>
        SetFilter(NLM_F_CREATE | NLM_F_EXCL, ifindex, direction, filter, programFd, out reason);

    /// <summary>
    /// Gives a filter that is there another program and name, in one step (net/sched/cls_bpf.c, cls_bpf_change). Returns the errno, or 0.
    /// </summary>
    internal int ReplaceFilter(int ifindex, TcDirection direction, in TcFilter filter, int programFd, out string reason) =>
        SetFilter(0, ifindex, direction, filter, programFd, out reason);

    private int SetFilter(ushort flags, int ifindex, TcDirection direction, in TcFilter filter, int programFd, out string reason)
    {
        var writer = new NetlinkWriter(_request, RTM_NEWTFILTER, (ushort)(flags | NLM_F_ACK));
        writer.Body(FilterMessage(ifindex, direction, filter));
        writer.Attribute(TCA_KIND, "bpf");
        var options = writer.BeginNested(TCA_OPTIONS);
        writer.Attribute(TCA_BPF_FD, programFd);
        writer.Attribute(TCA_BPF_NAME, filter.Name);
        writer.Attribute(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
        writer.EndNested(options);
        return Exchange(writer.Message, out reason, IgnoreMessage);
    }

    /// <summary>Returns the errno, or 0.</summary>
    internal int DeleteFilter(int ifindex, TcDirection direction, in TcFilter filter)
    {
        var writer = new NetlinkWriter(_request, RTM_DELTFILTER, NLM_F_ACK);
        writer.Body(FilterMessage(ifindex, direction, filter));
        writer.Attribute(TCA_KIND, "bpf");
        return Exchange(writer.Message, out _, IgnoreMessage);
    }

    private Span<byte> StatisticsRequest(ushort flags, int ifindex)
    {
        var writer = new NetlinkWriter(_request, RTM_GETSTATS, flags);
        writer.Body(new IfStatsMessage { Ifindex = ifindex, FilterMask = 1 << (IFLA_STATS_LINK_64 - 1) });
        return writer.Message;
    }

    private static TcMessage FilterMessage(int ifindex, TcDirection direction, in TcFilter filter) => new()
    {
        Ifindex = ifindex,
        Handle = filter.Handle,
        Parent = Parent(direction),
        Info = ((uint)filter.Priority << 16) | BinaryPrimitives.ReverseEndianness(ETH_P_ALL),
    };

    private static uint Parent(TcDirection direction) =>
        direction == TcDirection.Ingress ? TC_H_CLSACT_INGRESS : TC_H_CLSACT_EGRESS;

    private static (int Ifindex, IngressQdisc Qdisc)? ParseIngressQdisc(in NetlinkMessage message)
    {
        var attributes = message.Attributes<TcMessage>();
        while (attributes.TryRead(out var attribute))
        {
            if (attribute.Type == TCA_KIND && attribute.Text is "clsact" or "ingress")
            {
                return (message.Body<TcMessage>().Ifindex, attribute.Text == "clsact" ? IngressQdisc.Clsact : IngressQdisc.Ingress);
            }
        }
        return null;
    }

    private static TcFilter? ParseFilter(in NetlinkMessage message)
    {
        var body = message.Body<TcMessage>();
        var (kind, name, id) = ("", "", 0);
        var attributes = message.Attributes<TcMessage>();
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case TCA_KIND:
                    kind = attribute.Text;
                    break;
                case TCA_OPTIONS:
                    var options = attribute.Nested;
                    while (options.TryRead(out var option))
                    {
                        switch (option.Type)
                        {
                            case TCA_BPF_NAME:
                                name = option.Text;
                                break;
                            case TCA_BPF_ID:
                                id = option.Int32 ?? 0;
                                break;
                        }
                    }
                    break;
            }
        }
        // A classifier without filters is listed once for itself, with handle 0.
        return kind == "bpf" && body.Handle != 0 ? new((ushort)(body.Info >> 16), body.Handle, name, id) : null;
    }

    private static void IgnoreMessage(in NetlinkMessage message)
    {
    }

    private delegate T Parser<T>(in NetlinkMessage message);

    private List<T> Dump<T>(Span<byte> request, string operation, Parser<T?> parse)
        where T : class => DumpAll<T>(request, operation, (in NetlinkMessage message, List<T> results) =>
        {
            if (parse(message) is { } result)
            {
                results.Add(result);
            }
        });

    private List<T> Dump<T>(Span<byte> request, string operation, Parser<T?> parse)
        where T : struct => DumpAll<T>(request, operation, (in NetlinkMessage message, List<T> results) =>
        {
            if (parse(message) is { } result)
            {
                results.Add(result);
            }
        });

    private delegate void Collector<T>(in NetlinkMessage message, List<T> results);

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
            // attempts; who needs all of it lists again from time to time.
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
    private int Exchange(Span<byte> request, out string reason, MessageHandler handle)
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
            nint length;
            fixed (byte* start = _response)
            {
                length = Libc.recv(_socket, start, (nuint)_response.Length, Libc.MSG_TRUNC);
            }
            if (length < 0)
            {
                var errno = Marshal.GetLastPInvokeError();
                if (errno == Errno.EINTR)
                {
                    continue;
                }
                return errno;
            }
            if (length > _response.Length)
            {
                // The kernel makes its datagrams fit 32 KiB (netlink_dump), so this would be a single answer of no use.
                return Errno.ENOBUFS;
            }
            var messages = new NetlinkMessages(_response.AsSpan(0, (int)length));
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
