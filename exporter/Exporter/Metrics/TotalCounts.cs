using Exporter.Bpf.Contract;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>One total of what was counted, beside the pods' series.</summary>
internal sealed class TotalCounts : IPodCounts
{
    private readonly Direction _transmit;
    private readonly Direction _receive;
    private readonly Counter.Child _clients;
    private readonly Counter.Child _servers;

    internal TotalCounts(IMetricFactory metrics, TotalFamilies families)
    {
        var (packets, bytes, roles) = (families.Packets.CreateCounter(metrics), families.Bytes.CreateCounter(metrics), families.Handshakes.CreateCounter(metrics));
        _transmit = new(packets.WithLabels(PodFamilies.TransmitDirection), bytes.WithLabels(PodFamilies.TransmitDirection));
        _receive = new(packets.WithLabels(PodFamilies.ReceiveDirection), bytes.WithLabels(PodFamilies.ReceiveDirection));
        (_clients, _servers) = (roles.WithLabels(PodFamilies.Client), roles.WithLabels(PodFamilies.Server));
        _clients.Publish();
        _servers.Publish();
    }

    public bool IsFolded => false;

    public void Add(in TrafficValue traffic) => Add(traffic.Transmit.Total, traffic.Receive.Total);

    public void Add(in HandshakeValue handshakes) => Add(handshakes.Client.Total, handshakes.Server.Total);

    internal void Add(TrafficCount transmitted, TrafficCount received)
    {
        _transmit.Add(transmitted);
        _receive.Add(received);
    }

    internal void Add(ulong clients, ulong servers)
    {
        _clients.Inc(clients);
        _servers.Inc(servers);
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
    }
}
