using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Pods;
using Exporter.Signals;

namespace Exporter.Interfaces;

/// <summary>The parts of a session that reconciling interfaces works with.</summary>
internal sealed record InterfaceContext(
    LinkWatcher Watcher, PodTable Table, PodAccounts Accounts, IPodSource Pods, DrainRounds Rounds, LinkClient Client, TcAttacher Attacher, InterfaceMetrics Metrics)
{
    internal required TimeProvider Time { get; init; }

    /// <summary>May change during the session.</summary>
    internal required AttachOptions Options { get; set; }

    /// <summary>How long counts wait for their pod to be identified.</summary>
    internal required TimeSpan HoldFor { get; init; }

    /// <summary>Null where no signal counts by network namespace.</summary>
    internal NamespaceOwners? Namespaces { get; init; }

    /// <summary>Null: interfaces are known by their attributes in rtnetlink alone.</summary>
    internal LinkIdentifier? Identifier { get; init; }

    /// <summary>Null where nothing is pinned.</summary>
    internal PinDirectory? Pins { get; init; }

    /// <summary>Whether the numbers of network namespaces never come back.</summary>
    internal bool HasCookies => Identifier?.HasCookies == true;
}
