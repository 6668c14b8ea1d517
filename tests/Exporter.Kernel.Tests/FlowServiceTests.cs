using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;
using static Exporter.Kernel.Tests.Support.ServiceCluster;

namespace Exporter.Kernel.Tests;

/// <summary>Connections to Services, whose addresses the node translates: each end's record, and the edges of both workloads.</summary>
public sealed class FlowServiceTests(ServiceCluster cluster) : IClassFixture<ServiceCluster>
{
    private const int Sent = 1000, Answered = 50_000;

    [Theory]
    [InlineData("db", "10.96.0.5", true)]
    [InlineData("far", "10.96.0.6", false)]
    public async Task The_client_s_record_has_the_Service_s_address_and_the_backend_behind_it(string name, string vip, bool isLocal)
    {
        var backend = isLocal ? cluster.Backend : cluster.Remote;
        using var listener = backend.Listen();
        var service = new IPEndPoint(IPAddress.Parse(vip), 5432);
        await cluster.AddServiceAsync(name, service, new(backend.Address, listener.Port()));
        var before = await cluster.Exporter.ScrapeAsync();

        var client = await TalkAsync(cluster.Client, listener, service);

        var own = FlowsAt(cluster.Client, client, service);
        Assert.All(own, record => Assert.Equal(
            ("source", "syn", "service", backend.Address.ToString(), (long)listener.Port(), "data", name, null),
            (record.Text("flow.observer"), record.Text("flow.orientation"), record.Text("destination.class"), record.Text("destination.nat.ip"),
                record.Number("destination.nat.port"), record.Text("destination.k8s.namespace.name"), record.Text("destination.k8s.service.name"), record.Text("destination.k8s.pod.name"))));
        Assert.All(own, record => Assert.Equal(cluster.Client.Name, record.Text("source.k8s.pod.name")));
        await cluster.AssertExactAsync(cluster.Client, cluster.Backend);
        var edges = await cluster.Exporter.ScrapeUntilAsync(samples => Edge(samples, "connections", cluster.Client, "service", name, "role=\"client\"") == 1);
        Assert.Equal(Sum(own, "source.bytes"), Edge(edges, "transmit_bytes", cluster.Client, "service", name));
        Assert.Equal(Sum(own, "destination.bytes"), Edge(edges, "receive_bytes", cluster.Client, "service", name));
        if (isLocal)
        {
            var other = FlowsAt(backend, client, new(backend.Address, listener.Port()));
            Assert.All(other, record => Assert.Equal(
                ("destination", cluster.Client.Name, backend.Name, null, false),
                (record.Text("flow.observer"), record.Text("source.k8s.pod.name"), record.Text("destination.k8s.pod.name"), record.Text("source.class"), record.Has("destination.nat"))));
            Assert.All(["source.bytes", "source.packets", "destination.bytes", "destination.packets", "flow.connections"], path => Assert.Equal(Sum(own, path), Sum(other, path)));
            Assert.Equal(1, Increase("connections", "role=\"server\""));
            Assert.Equal(Sum(other, "destination.bytes"), Increase("transmit_bytes"));
            Assert.Equal(Sum(other, "source.bytes"), Increase("receive_bytes"));
        }

        double Increase(string counter, params string[] labels) =>
            Edge(edges, counter, backend, "workload", WorkloadOf(cluster.Client), labels) - Edge(before, counter, backend, "workload", WorkloadOf(cluster.Client), labels);
    }

    /// <summary>The node has to put itself between, and so the pod's interface carries two connections.</summary>
    [Fact]
    public async Task A_pod_that_reaches_itself_through_a_Service_has_a_record_to_the_Service_and_one_from_the_node()
    {
        var (pod, service) = (cluster.Backend, new IPEndPoint(IPAddress.Parse("10.96.0.7"), 80));
        using var listener = pod.Listen();
        await cluster.AddServiceAsync("self", service, new(pod.Address, listener.Port()));

        var client = await TalkAsync(pod, listener, service);

        var there = FlowsAt(pod, client, service);
        Assert.All(there, record => Assert.Equal(
            ("source", "service", pod.Address.ToString(), "self"),
            (record.Text("flow.observer"), record.Text("destination.class"), record.Text("destination.nat.ip"), record.Text("destination.k8s.service.name"))));
        var back = FlowsTo(pod, new(pod.Address, listener.Port()));
        Assert.All(back, record => Assert.Equal(
            ("destination", pod.HostAddress.ToString(), "node", pod.Name),
            (record.Text("flow.observer"), record.Text("source.ip"), record.Text("source.class"), record.Text("destination.k8s.pod.name"))));
        Assert.All(["source.bytes", "source.packets", "destination.bytes", "destination.packets", "flow.connections"], path => Assert.Equal(Sum(there, path), Sum(back, path)));
        await cluster.AssertExactAsync(cluster.Client, cluster.Backend);
    }

    /// <summary>The stated limit: it is counted from the node, too.</summary>
    [Fact]
    public async Task A_connection_to_a_port_of_the_node_is_the_node_s_at_both_ends()
    {
        var vip = new IPEndPoint(IPAddress.Parse("10.96.0.8"), 81);
        var nodePort = new IPEndPoint(IPAddress.Parse(NodeAddress), NodePortOf(vip));
        using var listener = cluster.Backend.Listen();
        await cluster.AddServiceAsync("front", vip, new(cluster.Backend.Address, listener.Port()));

        var client = await TalkAsync(cluster.Client, listener, nodePort);

        var own = FlowsAt(cluster.Client, client, nodePort);
        Assert.All(own, record => Assert.Equal(("source", "node"), (record.Text("flow.observer"), record.Text("destination.class"))));
        var other = FlowsTo(cluster.Backend, new(cluster.Backend.Address, listener.Port()));
        Assert.All(other, record => Assert.Equal(
            ("destination", cluster.Backend.HostAddress.ToString(), "node"), (record.Text("flow.observer"), record.Text("source.ip"), record.Text("source.class"))));
        Assert.All(["source.bytes", "destination.bytes", "flow.connections"], path => Assert.Equal(Sum(own, path), Sum(other, path)));
        await cluster.AssertExactAsync(cluster.Client, cluster.Backend);
        var edges = await cluster.Exporter.ScrapeAsync();
        Assert.True(Edge(edges, "connections", cluster.Client, "node", KubernetesNode.Name, "role=\"client\"") > 0);
        Assert.True(Edge(edges, "connections", cluster.Backend, "node", KubernetesNode.Name, "role=\"server\"") > 0);
    }

    [Fact]
    public async Task Of_two_Services_with_one_backend_each_has_its_own_connections()
    {
        (string Name, IPEndPoint Vip)[] services = [("read", new(IPAddress.Parse("10.96.0.9"), 82)), ("write", new(IPAddress.Parse("10.96.0.10"), 83))];
        using var listener = cluster.Backend.Listen();
        foreach (var (name, vip) in services)
        {
            await cluster.AddServiceAsync(name, vip, new(cluster.Backend.Address, listener.Port()));
        }
        for (var number = 0; number < 3; number++)
        {
            var (name, vip) = services[number % 2];
            var client = await TalkAsync(cluster.Client, listener, vip);
            Assert.All(FlowsAt(cluster.Client, client, vip), record => Assert.Equal(
                (name, cluster.Backend.Address.ToString()), (record.Text("destination.k8s.service.name"), record.Text("destination.nat.ip"))));
        }

        await cluster.AssertExactAsync(cluster.Client, cluster.Backend);
        var edges = await cluster.Exporter.ScrapeUntilAsync(samples => services.Sum(service => Edge(samples, "connections", cluster.Client, "service", service.Name)) == 3);
        Assert.Equal((2, 1), (Edge(edges, "connections", cluster.Client, "service", "read"), Edge(edges, "connections", cluster.Client, "service", "write")));
    }

    /// <summary>A connection whose end is recorded. Returns the client's address.</summary>
    private async Task<IPEndPoint> TalkAsync(Pod pod, Socket listener, IPEndPoint to)
    {
        IPEndPoint client;
        using (var connection = Connection.Open(pod, new(pod.Address, 0), listener, to))
        {
            client = connection.ClientEnd;
            connection.Send(Sent);
            connection.Answer(Answered);
            await cluster.Node.SettleAsync();
            connection.Send(Sent);
        }
        await cluster.Node.SettleAsync();
        return client;
    }

    private List<FlowLine> FlowsAt(Pod pod, IPEndPoint source, IPEndPoint destination) =>
        AssertAny(FlowsTo(pod, destination).Where(flow => flow.Tuple == FlowLife.TupleOf("tcp", source, destination)));

    private List<FlowLine> FlowsTo(Pod pod, IPEndPoint destination) => AssertAny(cluster.Node.Records.Flows.Where(flow =>
        flow.Interface == pod.Interface && flow.Text("destination.ip") == destination.Address.ToString() && flow.Number("destination.port") == destination.Port));

    private static List<FlowLine> AssertAny(IEnumerable<FlowLine> records)
    {
        var all = records.ToList();
        Assert.NotEmpty(all);
        return all;
    }

    private static long Sum(List<FlowLine> records, string path) => records.Sum(record => record.Number(path));

    private static double Edge(MetricSamples samples, string counter, Pod pod, string peerKind, string peer, params string[] labels) =>
        samples.Sum($"podnet_edge_{counter}_total", [$"workload=\"{WorkloadOf(pod)}\"", $"peer_kind=\"{peerKind}\"", $"peer=\"{peer}\"", .. labels]);
}
