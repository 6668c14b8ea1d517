using Exporter.Bpf.Netlink;
using Exporter.Pods;

namespace Exporter.Interfaces;

/// <summary>Finds the pod of each interface, and opens its account. For the reconciler alone.</summary>
internal sealed partial class Attribution(InterfaceContext context, InterfaceRecords records, ReconcileRound round, AfterDrains afterDrains, ILogger logger)
{
    private readonly ReconcileStep _refreshing = new("look for the names of namespaces", context.Time);

    /// <summary>Whether the source knows the pods of now.</summary>
    internal bool IsCurrent { get; private set; }

    /// <summary>Brings the source up to date. Returns whether it is.</summary>
    internal bool TryRefresh() => IsCurrent = round.Try(_refreshing, context.Pods.Refresh);

    /// <summary>Asks for the pods of interfaces that have none, and of all after a change of pods.</summary>
    internal void IdentifyAll(IReadOnlyList<Attachment> prepared, IEnumerable<Attachment> departing)
    {
        var hasChanged = context.Pods.TakeChanges();
        foreach (var attachment in prepared)
        {
            LookUpAddresses(attachment, now: hasChanged);
        }
        List<Attachment> asked = [.. departing.Concat(prepared).Where(attachment => hasChanged || attachment.Owner.Pod is null)];
        if (asked.Count > 0 && TryRefresh())
        {
            asked.ForEach(Identify);
        }
    }

    /// <summary>A namespace whose addresses cannot be read must not keep the others' pods unknown.</summary>
    internal void LookUpAddresses(Attachment attachment, bool now)
    {
        try
        {
            attachment.Addresses.Look(context.Client, now);
        }
        catch (NetlinkException e)
        {
            if (attachment.AddressTrouble.Begins())
            {
                LogAddressesUnknown(logger, attachment.Owner.Name, e.Message);
            }
        }
    }

    /// <summary>Also of interfaces whose pod is known: it may be shown otherwise from now on, or be another.</summary>
    internal void Identify(Attachment attachment)
    {
        var owner = attachment.Owner;
        var pod = context.Pods.Identify(owner);
        if (pod == owner.Pod || (pod is null && !context.Pods.IsWrong(owner)))
        {
            // More may be known of it than its series show, and than the ledger has: the next process needs that before it is asked for again.
            var known = owner.Pod;
            owner.Pod = pod ?? known;
            if (KeptOf(known) != KeptOf(owner.Pod))
            {
                records.Save(owner);
            }
            return;
        }
        if (pod is null)
        {
            LogReleased(logger, owner.Name, owner.Pod!.Namespace, owner.Pod.Name);
        }
        var before = owner.Counts;
        owner.Counts = pod is null ? null : context.Accounts.Acquire(pod);
        owner.Pod = pod;
        records.Save(owner);
        // The next drain credits the counts that were held until now.
        attachment.Mark = context.Rounds.Now;
        if (before is not null)
        {
            // A drain may still be adding to it.
            afterDrains.Add(() => context.Accounts.Release(before));
        }
    }

    /// <summary>Nothing is counted on the interface any more.</summary>
    internal void Forget(PodInterface owner)
    {
        if (owner.Counts is { } account)
        {
            context.Accounts.Release(account);
        }
        owner.Counts = null;
        records.Remove(owner);
        context.Pods.Forget(owner);
    }

    /// <summary>The part of a pod that the ledger keeps and that its equality does not know.</summary>
    private static (string? Workload, string? Kind, bool? IsWithoutFlows) KeptOf(PodIdentity? pod) => (pod?.Workload, pod?.WorkloadKind, pod?.IsWithoutFlows);

    [LoggerMessage(9, LogLevel.Warning, "Reading the addresses behind {Interface} failed, retrying: {Reason}")]
    private static partial void LogAddressesUnknown(ILogger logger, string @interface, string reason);

    [LoggerMessage(101, LogLevel.Warning, "{Interface} no longer belongs to pod {Namespace}/{Pod}: the pod has other addresses. Its traffic is unattributed until its pod is found")]
    private static partial void LogReleased(ILogger logger, string @interface, string @namespace, string pod);
}
