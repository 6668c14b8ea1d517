using Exporter.Bpf;
using Exporter.Edges;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Signals.Flows;

/// <summary>
/// Adds the flows of interfaces to the edges of their workloads, all of them, whatever becomes of their records. Used by the drain, with the ledger's lock.
/// </summary>
internal sealed class FlowEdges(EdgeAccounts accounts, FlowEnds ends, SessionContext context)
{
    /// <summary>Counts of interfaces whose pod is not known yet. When it is, their peers are not known any more.</summary>
    private readonly PendingCounts<PodInterface> _pending = new(context.Ledger, EdgeRow.Fields, static owner => (ulong)owner.Generation, context.Time, context.HoldFor);

    private readonly ulong[] _row = new ulong[EdgeRow.Fields.Count];

    /// <summary>Takes over the counts that a previous process has held.</summary>
    internal void Restore(IReadOnlyList<PodInterface> restored)
    {
        foreach (var entry in context.Ledger.FindRestored(RecordKind.Held, EdgeRow.Fields))
        {
            if (restored.FirstOrDefault(owner => owner.Generation == (long)RecordKey.ReadNumber(entry.Key)) is { } owner)
            {
                _pending.Restore(owner);
            }
            else
            {
                // Its traffic is in no pod's counters either.
                context.Ledger.Open(RecordKind.Held, entry.Key, null).Remove();
            }
        }
    }

    /// <param name="last">The flow's last packet, by the steady clock.</param>
    internal void Add(in FlowKey key, in FlowValue value, in FlowSight sight, PodInterface owner, DateTimeOffset last)
    {
        var row = new EdgeRow
        {
            TransmitBytes = value.Transmit.Bytes,
            TransmitPackets = value.Transmit.Packets,
            ReceiveBytes = value.Receive.Bytes,
            ReceivePackets = value.Receive.Packets,
        };
        if (owner.Pod is not { IsWithoutFlows: false } pod)
        {
            Add(row, owner);
            return;
        }
        if (pod.IsExcluded)
        {
            return;
        }
        row.ClientConnections = sight.IsLocalSource ? sight.Connections : 0;
        row.ServerConnections = sight.IsLocalSource ? 0 : sight.Connections;
        if (value.SrttUs != 0)
        {
            (row.RttSum, row.RttCount) = (value.SrttUs * 125ul, 1);
        }
        var (kind, ns, name) = ends.FindPeer(key, last);
        accounts.Add(new EdgeKey(pod.Namespace, FlowEnds.WorkloadOf(pod), pod.WorkloadKind, kind, ns, name), RowFields.RowOf(row));
    }

    /// <summary>Adds traffic that is in no flow.</summary>
    internal void AddRest(PodInterface owner, bool isTransmit, in FlowRest rest)
    {
        var (packets, bytes) = (0ul, 0ul);
        foreach (var count in (ReadOnlySpan<FlowCount>)rest.Unrecorded)
        {
            (packets, bytes) = (packets + count.Packets, bytes + count.Bytes);
        }
        Add(isTransmit ? new() { TransmitPackets = packets, TransmitBytes = bytes } : new() { ReceivePackets = packets, ReceiveBytes = bytes }, owner);
    }

    /// <summary>Hands over the counts of interfaces whose pod is known now. What waits for too long is in no pod's counters either.</summary>
    internal void Flush() => _pending.Flush(
        owner => owner.Pod is { } pod ? new UnrecordedAccount(accounts, pod) : null, static (account, row) => account.Add(EdgeRow.Fields, row), static _ => { });

    /// <summary>Adds traffic whose peer is not known, or not to be shown.</summary>
    private void Add(in EdgeRow row, PodInterface owner)
    {
        if (owner.Pod is { } pod)
        {
            AddUnrecorded(accounts, pod, RowFields.RowOf(row));
        }
        else
        {
            _pending.TryHold(owner)?.Add(EdgeRow.Fields, RowFields.RowOf(row));
        }
    }

    private static void AddUnrecorded(EdgeAccounts accounts, PodIdentity pod, ReadOnlySpan<ulong> row)
    {
        if (!pod.IsExcluded)
        {
            accounts.Add(EdgeKey.UnrecordedOf(pod.Namespace, FlowEnds.WorkloadOf(pod), pod.WorkloadKind), row);
        }
    }

    private sealed class UnrecordedAccount(EdgeAccounts accounts, PodIdentity pod) : IPodAccount
    {
        public IReadOnlyList<string> FindFolded() => [];

        public void Add(RowFields fields, ReadOnlySpan<ulong> row) => AddUnrecorded(accounts, pod, row);
    }
}
