using Exporter.Bpf.Contract;
using Exporter.Pods;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>One total of what was counted, in no pod's series.</summary>
internal sealed class TotalCounts : IPodCounts
{
    private readonly Direction _transmit;
    private readonly Direction _receive;
    private readonly Counter.Child _clients;
    private readonly Counter.Child _servers;

    /// <param name="name">In the families' names.</param>
    /// <param name="traffic">Which packets these are, for the families' help.</param>
    /// <param name="handshakes">Which handshakes these are.</param>
    internal TotalCounts(IMetricFactory metrics, string name, string traffic, string handshakes)
    {
        var packets = metrics.CreateCounter($"podnet_exporter_{name}_packets_total", $"Packets counted {traffic}.", ["direction"]);
        var bytes = metrics.CreateCounter($"podnet_exporter_{name}_bytes_total", $"The bytes of the {name} packets.", ["direction"]);
        _transmit = new(packets.WithLabels(ExporterMetrics.Transmit), bytes.WithLabels(ExporterMetrics.Transmit));
        _receive = new(packets.WithLabels(ExporterMetrics.Receive), bytes.WithLabels(ExporterMetrics.Receive));
        var roles = metrics.CreateCounter($"podnet_exporter_{name}_handshakes_total", $"TCP handshakes, completed or failed, {handshakes}.", ["role"]);
        (_clients, _servers) = (roles.WithLabels("client"), roles.WithLabels("server"));
        _clients.Publish();
        _servers.Publish();
    }

    public void Add(in TrafficValue traffic)
    {
        _transmit.Add(traffic.Transmit.Total);
        _receive.Add(traffic.Receive.Total);
    }

    public void Add(in HandshakeValue handshakes)
    {
        _clients.Inc(handshakes.Client.Total);
        _servers.Inc(handshakes.Server.Total);
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
