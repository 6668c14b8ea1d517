using Exporter.Bpf;
using Exporter.Pods;

namespace Exporter.Signals.Traffic;

/// <summary>The drain of traffic. Beside the pods' accounts, each interface has totals of its own, which are compared with the kernel's.</summary>
internal sealed class TrafficDrain(IRowSource<TrafficKey, TrafficValue> source, Func<LossReason, Loss> readLoss, TrafficLosses losses, SessionContext context)
    : SignalDrain<TrafficKey, TrafficValue, PodInterface>(
        TrafficValue.Fields, source, new InterfaceRows<TrafficKey>(context.Pods, static key => key.Ifindex), context)
{
    private static readonly LossReason[] LossReasons = Enum.GetValues<LossReason>();

    internal override bool IsByInterface => true;

    internal override string Summary => string.Create(null, $"{Credited.Packets} packets with {Credited.Bytes} bytes were counted for pods");

    /// <summary>Everything credited since the start, in packets and bytes of both directions.</summary>
    internal (ulong Packets, ulong Bytes) Credited { get; private set; }

    internal override void Restore(IReadOnlyList<PodInterface> restored)
    {
        Span<ulong> row = stackalloc ulong[Fields.Count];
        foreach (var owner in restored)
        {
            if (owner.Record is { } record)
            {
                record.ReadTotal(Fields, row);
                AddTotals(owner, row);
            }
        }
        base.Restore(restored);
    }

    private protected override void OnCounted(PodInterface owner, ReadOnlySpan<ulong> row)
    {
        AddTotals(owner, row);
        owner.Record?.Add(Fields, row);
    }

    private protected override void Credit(IPodAccount account, ReadOnlySpan<ulong> row)
    {
        base.Credit(account, row);
        var (transmitted, received) = TotalsOf(row);
        Credited = (Credited.Packets + transmitted.Packets + received.Packets, Credited.Bytes + transmitted.Bytes + received.Bytes);
    }

    private protected override void OnDrained()
    {
        foreach (var reason in LossReasons)
        {
            losses.Set(reason, readLoss(reason));
        }
    }

    private static (TrafficCount Transmitted, TrafficCount Received) TotalsOf(ReadOnlySpan<ulong> row)
    {
        ref readonly var traffic = ref RowFields.ValueOf<TrafficValue>(row);
        return (traffic.Transmit.Total, traffic.Receive.Total);
    }

    private static void AddTotals(PodInterface owner, ReadOnlySpan<ulong> row)
    {
        var (transmitted, received) = TotalsOf(row);
        owner.Totals.Add((transmitted.Packets, transmitted.Bytes), (received.Packets, received.Bytes));
    }
}
