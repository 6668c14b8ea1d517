using System.Text;
using Exporter.Bpf.Contract;
using Exporter.Pods;
using Exporter.State;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>One total of what was counted, beside the pods' series. Its record has sums alone: all transports' are under other ones.</summary>
internal sealed class TotalCounts : IPodCounts, ILedgerView
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

    public void Add(in TrafficValue traffic) => Add(traffic.Transmit.Total, traffic.Receive.Total);

    public void Add(in HandshakeValue handshakes) => Add(handshakes.Client.Total, handshakes.Server.Total);

    public void Show(in TrafficValue traffic)
    {
        _transmit.Add(traffic.Transmit.Total);
        _receive.Add(traffic.Receive.Total);
    }

    public void Show(in HandshakeValue handshakes)
    {
        _clients.Inc(handshakes.Client.Total);
        _servers.Inc(handshakes.Server.Total);
    }

    public void Restore(in LedgerCounts counts)
    {
        // Not Inc: in a later session of this process the counters show it already.
        _transmit.Restore(counts.Traffic.Transmit.Total);
        _receive.Restore(counts.Traffic.Receive.Total);
        _clients.IncTo(counts.Handshakes.Client.Total);
        _servers.IncTo(counts.Handshakes.Server.Total);
    }

    /// <summary>These of it alone.</summary>
    internal void Add(in LedgerCounts counts, GroupTotals totals)
    {
        if (totals.HasFlag(GroupTotals.Traffic))
        {
            Add(counts.Traffic);
        }
        if (totals.HasFlag(GroupTotals.Handshakes))
        {
            Add(counts.Handshakes);
        }
    }

    internal void Add(TrafficCount transmitted, TrafficCount received)
    {
        TrafficValue sums = default;
        sums.Transmit.Transports[(int)Transport.Other] = transmitted;
        sums.Receive.Transports[(int)Transport.Other] = received;
        _entry.Add(sums);
    }

    internal void Add(ulong clients, ulong servers)
    {
        HandshakeValue sums = default;
        sums.Client.Failures[(int)HandshakeFailure.Other] = clients;
        sums.Server.Failures[(int)HandshakeFailure.Other] = servers;
        _entry.Add(sums);
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
