using System.Buffers.Binary;
using Exporter.Bpf.Native;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>
/// Asks rtnetlink for traffic control's qdiscs and filters, and changes them, in the network namespace of the thread that opened it. Used by one
/// thread at a time.
/// </summary>
public sealed class TcClient : IDisposable
{
    private readonly NetlinkChannel _channel = new();

    public void Dispose() => _channel.Dispose();

    /// <summary>The kinds of the interfaces' <c>ffff:</c> qdiscs, by the interface's index.</summary>
    internal Dictionary<int, IngressQdisc> GetIngressQdiscs()
    {
        var writer = _channel.Begin(RTM_GETQDISC, NLM_F_DUMP);
        writer.Body(default(TcMessage));
        var qdiscs = new Dictionary<int, IngressQdisc>();
        foreach (var (ifindex, qdisc) in _channel.Dump(writer.Message, "list the qdiscs", static (in NetlinkMessage message) => ParseIngressQdisc(message)))
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
        var writer = _channel.Begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
        writer.Body(new TcMessage { Ifindex = ifindex, Handle = TC_H_CLSACT & 0xffff_0000, Parent = TC_H_CLSACT });
        writer.Attribute(TCA_KIND, "clsact");
        if (_channel.Acknowledge(writer.Message, out _) is var errno and not Errno.EEXIST)
        {
            return errno;
        }
        // The existing qdisc may be of the other kind, which has the same handle.
        // Without NLM_F_ECHO the kernel only notifies others of the answer (net/sched/sch_api.c, qdisc_get_notify).
        writer = _channel.Begin(RTM_GETQDISC, NLM_F_ECHO | NLM_F_ACK);
        writer.Body(new TcMessage { Ifindex = ifindex, Parent = TC_H_CLSACT });
        IngressQdisc? found = null;
        errno = _channel.Exchange(writer.Message, out _, (in NetlinkMessage message) => found = ParseIngressQdisc(message)?.Qdisc);
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
        var writer = _channel.Begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
        writer.Body(new TcMessage { Ifindex = LoopbackIfindex, Handle = TC_H_CLSACT & 0xffff_0000, Parent = TC_H_CLSACT });
        writer.Attribute(TCA_KIND, kind);
        writer.Attribute(TCA_INGRESS_BLOCK, 0);
        return _channel.Acknowledge(writer.Message, out _) != Errno.ENOENT;
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
        var writer = _channel.Begin(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
        writer.Body(FilterMessage(LoopbackIfindex, TcDirection.Ingress, default));
        writer.Attribute(TCA_KIND, "bpf");
        var errno = _channel.Acknowledge(writer.Message, out _);
        if (isOurs && GetFilters(LoopbackIfindex, TcDirection.Ingress).Count + GetFilters(LoopbackIfindex, TcDirection.Egress).Count == 0)
        {
            writer = _channel.Begin(RTM_DELQDISC, NLM_F_ACK);
            writer.Body(new TcMessage { Ifindex = LoopbackIfindex, Handle = TC_H_CLSACT & 0xffff_0000, Parent = TC_H_CLSACT });
            _channel.Acknowledge(writer.Message, out _);
        }
        return errno != Errno.ENOENT;
    }

    /// <summary>
    /// The BPF filters of an interface's <c>ffff:</c> qdisc in the order they run; none where it has no such qdisc, or is gone. Where the qdisc is
    /// of the kind <see cref="IngressQdisc.Ingress"/> the kernel lists the filters of ingress for either direction.
    /// </summary>
    internal List<TcFilter> GetFilters(int ifindex, TcDirection direction)
    {
        var writer = _channel.Begin(RTM_GETTFILTER, NLM_F_DUMP);
        writer.Body(new TcMessage { Ifindex = ifindex, Parent = Parent(direction) });
        try
        {
            return _channel.Dump(writer.Message, $"list the filters of interface {ifindex}", static (in NetlinkMessage message) => ParseFilter(message));
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
        var writer = _channel.Begin(RTM_NEWTFILTER, (ushort)(flags | NLM_F_ACK));
        writer.Body(FilterMessage(ifindex, direction, filter));
        writer.Attribute(TCA_KIND, "bpf");
        var options = writer.BeginNested(TCA_OPTIONS);
        writer.Attribute(TCA_BPF_FD, programFd);
        writer.Attribute(TCA_BPF_NAME, filter.Name);
        writer.Attribute(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
        writer.EndNested(options);
        return _channel.Acknowledge(writer.Message, out reason);
    }

    /// <summary>Returns the errno, or 0.</summary>
    internal int DeleteFilter(int ifindex, TcDirection direction, in TcFilter filter)
    {
        var writer = _channel.Begin(RTM_DELTFILTER, NLM_F_ACK);
        writer.Body(FilterMessage(ifindex, direction, filter));
        writer.Attribute(TCA_KIND, "bpf");
        return _channel.Acknowledge(writer.Message, out _);
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
}
