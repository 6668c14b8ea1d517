using System.Text;
using Exporter.Bpf;
using Exporter.Bpf.Contract;
using Exporter.Pods;
using Exporter.State;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>One total of what was counted, beside the pods' series. Its record has sums alone: all transports' are under other ones.</summary>
internal sealed class TotalCounts : IPodAccount, ILedgerView
{
    private readonly LedgerEntry _entry;
    private readonly Direction _transmit;
    private readonly Direction _receive;
    private readonly Counter.Child _clients;
    private readonly Counter.Child _servers;

    internal TotalCounts(IMetricFactory metrics, TotalFamilies families, Ledger ledger)
    {
        var (packets, bytes, roles) = (families.Packets.CreateCounter(metrics), families.Bytes.CreateCounter(metrics), families.Handshakes.CreateCounter(metrics));
        _transmit = new(packets.WithLabels(PodFamilies.TransmitDirection), bytes.WithLabels(PodFamilies.TransmitDirection));
        _receive = new(packets.WithLabels(PodFamilies.ReceiveDirection), bytes.WithLabels(PodFamilies.ReceiveDirection));
        (_clients, _servers) = (roles.WithLabels(PodFamilies.Client), roles.WithLabels(PodFamilies.Server));
        _clients.Publish();
        _servers.Publish();
        _entry = ledger.Open(RecordKind.Total, Encoding.UTF8.GetBytes(families.Packets.Name), this);
    }

    public bool IsFolded => false;

    public void Add(RowFields fields, ReadOnlySpan<ulong> row)
    {
        if (fields == TrafficValue.Fields)
        {
            ref readonly var traffic = ref RowFields.ValueOf<TrafficValue>(row);
            Add(traffic.Transmit.Total, traffic.Receive.Total);
        }
        else
        {
            ref readonly var handshakes = ref RowFields.ValueOf<HandshakeValue>(row);
            Add(handshakes.Client.Total, handshakes.Server.Total);
        }
    }

    public void Show(RowFields fields, ReadOnlySpan<ulong> row)
    {
        if (fields == TrafficValue.Fields)
        {
            ref readonly var traffic = ref RowFields.ValueOf<TrafficValue>(row);
            _transmit.Add(traffic.Transmit.Total);
            _receive.Add(traffic.Receive.Total);
        }
        else
        {
            ref readonly var handshakes = ref RowFields.ValueOf<HandshakeValue>(row);
            _clients.Inc(handshakes.Client.Total);
            _servers.Inc(handshakes.Server.Total);
        }
    }

    // Not Inc: in a later session of this process the counters show it already.
    public void Restore(RowFields fields, ReadOnlySpan<ulong> row)
    {
        if (fields == TrafficValue.Fields)
        {
            ref readonly var traffic = ref RowFields.ValueOf<TrafficValue>(row);
            _transmit.Restore(traffic.Transmit.Total);
            _receive.Restore(traffic.Receive.Total);
        }
        else
        {
            ref readonly var handshakes = ref RowFields.ValueOf<HandshakeValue>(row);
            _clients.IncTo(handshakes.Client.Total);
            _servers.IncTo(handshakes.Server.Total);
        }
    }

    /// <summary>Adds the rows of a record whose signals are among these.</summary>
    internal void Add(LedgerEntry entry, GroupTotals totals)
    {
        Add(GroupTotals.Traffic, TrafficValue.Fields);
        Add(GroupTotals.Handshakes, HandshakeValue.Fields);

        void Add(GroupTotals total, RowFields fields)
        {
            if (totals.HasFlag(total))
            {
                Span<ulong> row = stackalloc ulong[fields.Count];
                entry.ReadTotal(fields, row);
                this.Add(fields, row);
            }
        }
    }

    internal void Add(TrafficCount transmitted, TrafficCount received)
    {
        TrafficValue sums = default;
        sums.Transmit.Transports[(int)Transport.Other] = transmitted;
        sums.Receive.Transports[(int)Transport.Other] = received;
        _entry.Add(TrafficValue.Fields, RowFields.RowOf(sums));
    }

    internal void Add(ulong clients, ulong servers)
    {
        HandshakeValue sums = default;
        sums.Client.Failures[(int)HandshakeFailure.Other] = clients;
        sums.Server.Failures[(int)HandshakeFailure.Other] = servers;
        _entry.Add(HandshakeValue.Fields, RowFields.RowOf(sums));
    }

    private sealed class Direction
    {
        private readonly Counter.Child _packets;
        private readonly Counter.Child _bytes;

        internal Direction(Counter.Child packets, Counter.Child bytes)
        {
            (_packets, _bytes) = (packets, bytes);
            packets.Publish();
            bytes.Publish();
        }

        internal void Add(TrafficCount count)
        {
            _packets.Inc(count.Packets);
            _bytes.Inc(count.Bytes);
        }

        internal void Restore(TrafficCount count)
        {
            _packets.IncTo(count.Packets);
            _bytes.IncTo(count.Bytes);
        }
    }
}
