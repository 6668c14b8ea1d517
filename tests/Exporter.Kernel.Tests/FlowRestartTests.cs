using System.Net;
using Exporter.Kernel.Tests.Support;
using static Exporter.Kernel.Tests.Support.ServiceCluster;

namespace Exporter.Kernel.Tests;

/// <summary>Names of flows that were counted without an exporter.</summary>
public sealed class FlowRestartTests(ServiceCluster cluster) : IClassFixture<ServiceCluster>
{
    /// <summary>The next process has to learn all of them again, and the API server's lists come seconds after its start.</summary>
    [Fact]
    public async Task All_that_was_counted_while_no_exporter_ran_has_the_names_of_pods_Services_and_nodes()
    {
        var (backend, vip) = (cluster.Backend, new IPEndPoint(IPAddress.Parse("10.96.1.2"), 85));
        using var listener = backend.Listen();
        await cluster.AddServiceAsync("meanwhile", vip, new(backend.Address, listener.Port()));
        await cluster.Node.SettleAsync();
        var killed = DateTimeOffset.UtcNow;
        List<Connection> connections = [];

        await cluster.RestartAsync(() =>
        {
            connections.Add(Connection.Open(cluster.Client, new(cluster.Client.Address, 0), listener, backend.Address));
            connections.Add(Connection.Open(cluster.Client, new(cluster.Client.Address, 0), listener, vip));
            connections.Add(Connection.Open(null, new(backend.HostAddress, 0), listener, backend.Address));
            connections.ForEach(connection => connection.Send(1000));
        });
        var running = DateTimeOffset.UtcNow;
        using var all = new Disposables<Connection>(connections);
        await cluster.Node.ReadUntilAsync(_ => FlowsOf(connections[0]).Any() && FlowsOf(connections[1]).Any() && FlowsOf(connections[2], backend).Any());

        Assert.All(FlowsOf(connections[0]), record => Assert.Equal((cluster.Client.Name, backend.Name), NamesOf(record)));
        Assert.All(FlowsOf(connections[1]), record => Assert.Equal(
            ("meanwhile", "service", $"{backend.Address}"), (record.Text("destination.k8s.service.name"), record.Text("destination.class"), record.Text("destination.nat.ip"))));
        Assert.All(FlowsOf(connections[2], backend), record => Assert.Equal(("node", backend.Name), (record.Text("source.class"), record.Text("destination.k8s.pod.name"))));
        Assert.All(connections, connection => Assert.Contains(cluster.Node.Records.Flows, record =>
            record.Number("source.port") == connection.ClientEnd.Port && record.Time("event.start") > killed && record.Time("event.start") < running));
        await cluster.AssertExactAsync(cluster.Client, backend);
        var edges = await cluster.Exporter.ScrapeAsync();
        Assert.True(edges.Sum("podnet_edge_connections_total", $"workload=\"{WorkloadOf(cluster.Client)}\"", "peer=\"meanwhile\"") > 0);
        Assert.Equal(0, edges.Sum("podnet_edge_connections_total", "peer_kind=\"class\"", "peer=\"pods\""));
    }

    private IEnumerable<FlowLine> FlowsOf(Connection connection, Pod? at = null) => cluster.Node.Records.Flows.Where(record =>
        record.Interface == (at ?? cluster.Client).Interface && record.Tuple == FlowLife.TupleOf("tcp", connection.ClientEnd, connection.ServerEnd));

    private static (string? Source, string? Destination) NamesOf(FlowLine record) => (record.Text("source.k8s.pod.name"), record.Text("destination.k8s.pod.name"));
}
