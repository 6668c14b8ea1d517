using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Signals.Uplinks;

/// <summary>Brings the programs of each uplink into the state that the options want. Used by one thread at a time.</summary>
internal sealed partial class UplinkAttaching(UplinkPrograms programs, UplinkTable table, UplinkOptions options, TimeProvider time, ILogger logger)
{
    private const string Going = "the interface is going away";

    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);

    /// <summary>A link that is not back so long after XDP was attached does not come back because of others that wait.</summary>
    private static readonly TimeSpan LongestReset = TimeSpan.FromSeconds(30);

    /// <summary>The interface that XDP was attached to last, as it was listed before, and when.</summary>
    private (Uplink Uplink, NodeLink Before, long At)? _reset;

    /// <summary>Attaches what is missing, and detaches what is not wanted. Failures are logged once, and tried again.</summary>
    internal void Attach(Uplink uplink)
    {
        string? problem;
        try
        {
            uplink.Egress = Ensure(uplink.Egress, uplink, TcDirection.Egress);
            if (options.Hook == UplinkHook.Xdp && uplink.Xdp is null && IsResetting(uplink))
            {
                _ = CountByTc(uplink);
                Pin(uplink);
                return;
            }
            problem = options.Hook == UplinkHook.Tcx ? CountByTc(uplink) : CountByXdp(uplink, isGeneric: options.Hook == UplinkHook.XdpGeneric);
            Pin(uplink);
        }
        catch (KernelException e)
        {
            problem = e.Message;
        }
        if (problem is not null && problem != uplink.Problem)
        {
            var meanwhile = uplink switch
            {
                { Egress: null } => "it is not counted in full",
                { ByXdp: true, Xdp: not null } => "XDP counts its frames as long as this process runs",
                { Ingress: not null } => "TC counts its frames meanwhile",
                _ => "it is not counted in full",
            };
            LogProblem(logger, uplink.Link.Name, problem, meanwhile, options.Hook == UplinkHook.Tcx || uplink.ByXdp ? "" : "; trying again when the hook is free");
        }
        else if (problem is null && (uplink.Problem is not null || !uplink.IsLogged))
        {
            LogCounted(logger, uplink.Link.Name, NameOf(uplink));
            uplink.IsLogged = true;
        }
        uplink.Problem = problem;
    }

    /// <summary>Detaches everything. The interface may be gone, or in another namespace.</summary>
    internal static void Detach(Uplink uplink)
    {
        foreach (var attachment in (IDisposable?[])[uplink.Xdp, uplink.Ingress, uplink.Egress])
        {
            try
            {
                attachment?.Dispose();
            }
            catch (KernelException)
            {
                // What could not be detached went with the interface, or is found by the next start, which removes it.
            }
        }
        (uplink.Xdp, uplink.Ingress, uplink.Egress) = (null, null, null);
    }

    /// <summary>How received frames are counted, as options, metrics and documents name it; null: they are not.</summary>
    internal string? NameOf(Uplink uplink) => uplink switch
    {
        { ByXdp: true, Xdp: not null, IsGeneric: true } => "xdp-generic",
        { ByXdp: true, Xdp: not null } => "xdp",
        { Ingress: not null } => programs.Tc.Name,
        _ => null,
    };

    /// <summary>The state of an interface that is there, as metrics and documents have it.</summary>
    internal string StateOf(Uplink uplink) =>
        uplink.Egress is null || NameOf(uplink) is null ? UplinkMetrics.Failed : uplink.Problem is null ? UplinkMetrics.Counted : UplinkMetrics.Fallback;

    /// <summary>Why XDP cannot be attached by the looks of the interface, which has none of ours; null: it may be tried.</summary>
    internal static string? FindObstacle(NodeLink link, bool hasFrags)
    {
        if (link.Xdp.Mode != XdpMode.None)
        {
            var holder = link.Xdp.ProgramId == 0 ? "several programs" : $"program {link.Xdp.ProgramId}{(BpfProgram.TryDescribe(link.Xdp.ProgramId) is var (name, user) ? $" ({name}, loaded by user {user})" : "")}";
            return $"{holder} has its XDP hook, {Options.EnumText.Lower(link.Xdp.Mode)}";
        }
        return !hasFrags && link.Mtu > Environment.SystemPageSize
            ? $"its MTU of {link.Mtu} is above a page, and this kernel has no XDP for frames of several parts (Linux 5.18): lengths would be wrong"
            : null;
    }

    private string? CountByTc(Uplink uplink)
    {
        uplink.Ingress = Ensure(uplink.Ingress, uplink, TcDirection.Ingress);
        Decide(uplink, byXdp: false);
        uplink.Xdp?.Dispose();
        uplink.Xdp = null;
        return uplink is { Ingress: null } or { Egress: null } ? Going : null;
    }

    private string? CountByXdp(Uplink uplink, bool isGeneric)
    {
        if (uplink.Xdp is { } attached && (uplink.IsGeneric != isGeneric || !attached.IsAttached))
        {
            var hadHook = attached.IsAttached;
            _ = CountByTc(uplink);
            if (hadHook)
            {
                // It was listed with our own program.
                uplink.Link = uplink.Link with { Xdp = default };
            }
        }
        if (uplink.Xdp is null && TryAttach(uplink, isGeneric) is { } problem)
        {
            return CountByTc(uplink) ?? problem;
        }
        try
        {
            // Before the other stops to count: killed in between, the program that counts is still there.
            Pin(uplink);
        }
        finally
        {
            // Also where it cannot be pinned, which is tried again: unpinned it counts as long as the process.
            Decide(uplink, byXdp: true);
            uplink.Ingress?.Dispose();
            uplink.Ingress = null;
        }
        return uplink.Egress is null ? Going : null;
    }

    /// <summary>Returns why it is not attached; null: it is.</summary>
    private string? TryAttach(Uplink uplink, bool isGeneric)
    {
        if (FindObstacle(uplink.Link, programs.HasFrags) is { } obstacle)
        {
            return obstacle;
        }
        uplink.Retry ??= new(FirstRetry, LongestRetry, time);
        if (!uplink.Retry.IsDue)
        {
            return uplink.Problem;
        }
        try
        {
            uplink.Xdp = programs.Xdp.TryAttach(programs.Receive, uplink.Link.Ifindex, isGeneric);
            uplink.IsGeneric = isGeneric;
            _reset = uplink.Link.IsRunning ? (uplink, uplink.Link, time.GetTimestamp()) : null;
            uplink.Retry.Reset();
            return uplink.Xdp is null ? Going : null;
        }
        catch (BpfException e)
        {
            uplink.Retry.Later();
            return XdpAttacher.IsTaken(e) ? "another program has its XDP hook" : $"{e.Message}; its driver, {DriverOf(uplink.Link)}, may have no XDP for this MTU or number of queues, or none at all";
        }
    }

    /// <summary>
    /// Whether another link may be down because XDP was attached to it: drivers reset theirs for that. One after the other, of two slaves of a bond one stays up.
    /// </summary>
    private bool IsResetting(Uplink uplink) => _reset is { } last
        && last.Uplink != uplink
        && last.Uplink.LeftAt is null
        && (ReferenceEquals(last.Uplink.Link, last.Before) || !last.Uplink.Link.IsRunning)
        && time.GetElapsedTime(last.At) < LongestReset;

    /// <summary>One store decides which of the programs that may both be attached counts.</summary>
    private void Decide(Uplink uplink, bool byXdp)
    {
        if (uplink.ByXdp != byXdp)
        {
            uplink.ByXdp = byXdp;
            table.Publish();
        }
    }

    /// <summary>The attachment, made again where somebody has removed it; null where the interface is gone.</summary>
    private TcAttachment? Ensure(TcAttachment? attachment, Uplink uplink, TcDirection direction)
    {
        if (attachment is not null && programs.Tc.IsAttached(uplink.Link.Ifindex, direction))
        {
            return attachment;
        }
        attachment?.Dispose();
        return programs.Tc.TryAttach(uplink.Link.Ifindex, direction);
    }

    /// <summary>Pins links without a pin: new ones, and those whose pin was removed.</summary>
    private static void Pin(Uplink uplink)
    {
        foreach (var attachment in (TcAttachment?[])[uplink.Ingress, uplink.Egress])
        {
            if (attachment is { IsPinned: false })
            {
                attachment.Pin();
            }
        }
        if (uplink.Xdp is { IsPinned: false })
        {
            uplink.Xdp.Pin();
        }
    }

    /// <summary>The driver of an interface, or its kind where it has none.</summary>
    internal static string DriverOf(NodeLink link) => Ethtool.FindDriver(link.Name) is { Length: > 0 } driver ? driver : link.Kind.Length > 0 ? link.Kind : "unknown";

    [LoggerMessage(120, LogLevel.Information, "Counting the uplink {Interface}: received frames by {Hook}, sent frames by TC")]
    private static partial void LogCounted(ILogger logger, string @interface, string? hook);

    [LoggerMessage(121, LogLevel.Warning, "The uplink {Interface} is not counted as Uplinks:Hook wants: {Reason}; {Meanwhile}{Retry}")]
    private static partial void LogProblem(ILogger logger, string @interface, string reason, string meanwhile, string retry);
}
