using Exporter.Bpf.Netlink;

namespace Exporter.Interfaces;

/// <summary>Decides which interfaces are the host's ends of pods.</summary>
internal static class InterfaceFilter
{
    /// <summary>A veth or netkit whose other end is in another namespace, and whose name the options allow.</summary>
    internal static bool IsPodInterface(this AttachOptions options, Link link) =>
        link is { Kind: "veth" or "netkit", PeerNamespaceId: not null }
        && options.Include?.IsMatch(link.Name) != false
        && options.Exclude?.IsMatch(link.Name) != true;
}
