using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Health;
using Exporter.Pods;

namespace Exporter.Signals.Uplinks;

/// <summary>
/// An interface that has a slot: it is counted, or was until just now and its last counts are still to be read. Changed by the loop of the signal; drains read it
/// meanwhile.
/// </summary>
/// <param name="since">When it was chosen.</param>
internal sealed class Uplink(int slot, NodeLink link, DateTimeOffset since)
{
    internal int Slot => slot;

    internal DateTimeOffset Since => since;

    /// <summary>Its state when the interfaces were last listed; the name and the permanent address stay.</summary>
    internal NodeLink Link { get; set; } = link;

    /// <summary>The account of the present session.</summary>
    internal IPodAccount? Account { get; set; }

    /// <summary>What has been read of it, in the present session.</summary>
    internal IReadOnlyList<UplinkReading> Readings { get; set; } = [];

    internal TcAttachment? Ingress { get; set; }

    internal TcAttachment? Egress { get; set; }

    internal XdpAttachment? Xdp { get; set; }

    /// <summary>Whether XDP is attached in the stack rather than in the driver.</summary>
    internal bool IsGeneric { get; set; }

    /// <summary>Whether XDP counts received frames, rather than TC: both may be attached for a moment, and one of them counts.</summary>
    internal bool ByXdp { get; set; }

    /// <summary>Why received frames are not counted as the options want it, or nothing is counted; null where all is well.</summary>
    internal string? Problem { get; set; }

    /// <summary>The drains that had begun when it left; null: it is there.</summary>
    internal long? LeftAt { get; set; }

    /// <summary>Whether the log says how it is counted.</summary>
    internal bool IsLogged { get; set; }

    /// <summary>When attaching is tried again after a failure.</summary>
    internal Retry? Retry { get; set; }

    /// <summary>Another session has other options, whose problems are not known yet, and drains that are numbered from one on.</summary>
    internal void BeginSession()
    {
        (Problem, Retry, IsLogged) = (null, null, false);
        LeftAt = LeftAt is null ? null : 0;
    }

    /// <summary>Moves its programs to another slot of the same interface.</summary>
    internal void HandTo(Uplink next)
    {
        (next.Ingress, next.Egress, next.Xdp, next.IsGeneric, next.ByXdp) = (Ingress, Egress, Xdp, IsGeneric, ByXdp);
        (Ingress, Egress, Xdp) = (null, null, null);
    }

    internal UplinkIdentity Identity => new(Link.Name, Link.PermanentAddress);

    /// <summary>Whether this interface is the one that was counted: of the same name, and where both have a permanent address of the same.</summary>
    internal static bool IsSame(UplinkIdentity known, NodeLink link) => known.Text == link.Name
        && (known.PermanentAddress == link.PermanentAddress || known.PermanentAddress == 0 || link.PermanentAddress == 0);
}
