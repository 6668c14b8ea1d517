using System.Net;
using System.Net.Sockets;
using Exporter.Bpf.Netlink;
using Exporter.Health;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>
/// The addresses of the node itself. The API server knows few of them: kubelet, pods on the host's network and masquerading reach pods from the addresses of bridges and
/// tunnels, which are in the pods' networks. Used by the drain alone.
/// </summary>
/// <param name="name">The node's.</param>
/// <param name="list">Lists the addresses of the host's network namespace.</param>
/// <param name="find">Finds an interface there by its name.</param>
internal sealed partial class NodeAddresses(string name, Func<IEnumerable<LinkAddress>> list, Func<string, Link?> find, ILogger logger)
{
    /// <summary>
    /// Interfaces of kube-proxy with IPVS, of kube-router and of NodeLocal DNSCache, by which a node takes packets for the addresses of Services. All nodes have the same, so none of them is the node's.
    /// </summary>
    private static readonly string[] ProxyLinks = ["kube-ipvs0", "kube-dummy-if", "nodelocaldns"];

    private readonly HashSet<FlowAddress> _addresses = [];
    private readonly Trouble _failure = new();

    /// <summary>The node's name.</summary>
    internal string Name => name;

    /// <summary>Takes the addresses of now; those known before stay where they cannot be listed.</summary>
    internal void Refresh()
    {
        try
        {
            var listed = list().ToList();
            var proxies = ProxyLinks.Select(find).OfType<Link>().Select(link => link.Ifindex).ToList();
            _addresses.Clear();
            _addresses.UnionWith(listed.Where(found => !proxies.Contains(found.Ifindex)).Select(found => found.Address).Where(IsOfOneNode).Select(FlowAddress.From));
            _failure.Ends();
        }
        catch (NetlinkException e)
        {
            if (_failure.Begins())
            {
                LogUnknown(logger, e.Message);
            }
        }
    }

    internal bool Has(FlowAddress address) => _addresses.Contains(address);

    /// <summary>Whether no other node has the address: all nodes have loopback addresses, and link-local ones are of one link.</summary>
    internal static bool IsOfOneNode(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[4];
        var isLinkLocal = address.AddressFamily == AddressFamily.InterNetwork ? address.TryWriteBytes(bytes, out _) && bytes is [169, 254, ..] : address.IsIPv6LinkLocal;
        return !isLinkLocal && !IPAddress.IsLoopback(address);
    }

    [LoggerMessage(510, LogLevel.Warning, "Listing the node's own addresses failed, and is tried again with the next interval: peers at addresses that are new have the class of their network instead of node. {Reason}")]
    private static partial void LogUnknown(ILogger logger, string reason);
}
