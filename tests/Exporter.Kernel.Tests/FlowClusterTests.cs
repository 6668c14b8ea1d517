using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;
using static Exporter.Kernel.Tests.Support.ServiceCluster;

namespace Exporter.Kernel.Tests;

/// <summary>Whose end of a flow an address is, while pods and Services come and go.</summary>
public sealed class FlowClusterTests(ServiceCluster cluster) : IClassFixture<ServiceCluster>
{
    private const string Ipv6Forwarding = "/proc/sys/net/ipv6/conf/all/forwarding";

    /// <summary>Its connections end later: what is still sent to it comes to the next pod, which knows nothing of them.</summary>
    [Fact]
    public async Task The_next_pod_of_an_address_has_its_own_name_and_the_one_before_gives_it_none()
    {
        var removed = await cluster.AddPodAsync();
        using var listener = removed.Listen();
        using var connection = Connection.Open(cluster.Client, new(cluster.Client.Address, 0), listener, removed.Address);
        connection.Send(1000);
        await cluster.Node.SettleAsync();
        var before = FlowsOf(connection).ToList();
        Assert.All(before, record => Assert.Equal((cluster.Client.Name, removed.Name), NamesOf(record)));

        await cluster.RemovePodAsync(removed);
        await cluster.Node.SettleAsync();
        var gone = DateTimeOffset.UtcNow;
        connection.Client.Send(new byte[1000]);
        await cluster.Node.ReadUntilAsync(_ => FlowsOf(connection).Any(record => record.Time("event.start") > gone && record.Number("source.packets") > 0));
        var next = await cluster.AddPodInsteadAsync(removed);
        var named = DateTimeOffset.UtcNow;
        await cluster.Node.ReadUntilAsync(_ => FlowsOf(connection).Any(record => record.EndReason == "reset"));
        using var another = TcpSockets.Open(cluster.Client);
        another.Begin(new IPEndPoint(removed.Address, 81));
        await cluster.Node.SettleAsync();

        var after = FlowsOf(connection).Where(record => record.Time("event.start") > gone).ToList();
        Assert.DoesNotContain(after, record => record.Text("destination.k8s.pod.name") == removed.Name);
        Assert.Contains(after, record => record.Text("destination.k8s.pod.name") is null && record.Text("destination.class") is not null);
        Assert.All(after.Where(record => record.Time("event.start") > named), record => Assert.Equal((cluster.Client.Name, next.Name), NamesOf(record)));
        var others = cluster.Node.Records.Flows.Where(record => record.Interface == cluster.Client.Interface && record.Number("destination.port") == 81).ToList();
        Assert.NotEmpty(others);
        Assert.All(others, record => Assert.Equal((cluster.Client.Name, next.Name), NamesOf(record)));
        Assert.All(FlowsOf(connection, next), record => Assert.Equal((cluster.Client.Name, next.Name), NamesOf(record)));
        await cluster.AssertExactAsync(cluster.Client, next);
        var edges = await cluster.Exporter.ScrapeAsync();
        Assert.All([removed, next], pod => Assert.True(edges.Sum("podnet_edge_transmit_bytes_total", $"workload=\"{WorkloadOf(cluster.Client)}\"", $"peer=\"{WorkloadOf(pod)}\"") > 0));
    }

    [Fact]
    public async Task Pods_with_IPv6_alone_have_their_names_and_all_that_they_send()
    {
        var forwarding = await File.ReadAllTextAsync(Ipv6Forwarding);
        try
        {
            await File.WriteAllTextAsync(Ipv6Forwarding, "1");
            var (client, server) = (await cluster.AddIpv6PodAsync(), await cluster.AddIpv6PodAsync());
            using var listener = server.Listen(AddressFamily.InterNetworkV6);
            using (var connection = Connection.Open(client, new(client.Address6, 0), listener, server.Address6))
            {
                connection.Send(100_000);
                connection.Answer(1000);
            }
            TestTraffic.Udp(client, AddressFamily.InterNetworkV6, 100, 1000, fromPod: true);
            Shell.Run("ip", "netns", "exec", client.Name, "ping", "-6", "-q", "-c", "3", "-i", "0.2", $"{server.Address6}");

            await cluster.AssertExactAsync(client, server);
            foreach (var transport in (string[])["tcp", "ipv6-icmp"])
            {
                var records = cluster.Node.Records.Flows.Where(record => record.Text("network.transport") == transport
                    && record.Text("source.ip") == $"{client.Address6}" && record.Text("destination.ip") == $"{server.Address6}").ToList();
                Assert.Equal([client.Interface, server.Interface], records.Select(record => record.Interface).Distinct().Order());
                Assert.All(records, record => Assert.Equal((client.Name, server.Name, "ipv6"), (NamesOf(record).Source, NamesOf(record).Destination, record.Text("network.type"))));
            }
            Assert.DoesNotContain(cluster.Node.Records.Flows, record => (record.Interface == client.Interface || record.Interface == server.Interface) && record.Text("network.type") != "ipv6");
            var edges = await cluster.Exporter.ScrapeAsync();
            // The one of TCP, and the echoes.
            Assert.Equal(2, edges.Sum("podnet_edge_connections_total", $"workload=\"{WorkloadOf(client)}\"", $"peer=\"{WorkloadOf(server)}\"", "role=\"client\""));
        }
        finally
        {
            await File.WriteAllTextAsync(Ipv6Forwarding, forwarding);
        }
    }

    [Fact]
    public async Task While_500_Services_and_slices_change_in_a_second_all_names_are_right_and_nothing_is_listed_again()
    {
        const int Services = 50, Rounds = 25;
        var vip = new IPEndPoint(IPAddress.Parse("10.96.1.1"), 84);
        using var listener = cluster.Backend.Listen();
        await cluster.AddServiceAsync("steady", vip, new(cluster.Backend.Address, listener.Port()));
        var lists = (await cluster.Exporter.ScrapeAsync()).Sum("podnet_exporter_kubernetes_relists_total");

        var churn = ChurnAsync();
        List<IPEndPoint> clients = [];
        while (!churn.IsCompleted)
        {
            using var connection = Connection.Open(cluster.Client, new(cluster.Client.Address, 0), listener, vip);
            clients.Add(connection.ClientEnd);
            connection.Send(100 + clients.Count);
            await Task.Delay(20);
        }
        await churn;
        await cluster.Exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_edge_connections_total", $"workload=\"{WorkloadOf(cluster.Client)}\"", "peer=\"steady\"") == clients.Count);
        await cluster.Node.SettleAsync();
        using var last = TcpSockets.Open(cluster.Client);
        last.Begin(new IPEndPoint(VipOf(7, Rounds), 80));
        using var earlier = TcpSockets.Open(cluster.Client);
        earlier.Begin(new IPEndPoint(VipOf(7, Rounds - 1), 80));
        await cluster.Node.SettleAsync();

        var records = cluster.Node.Records.Flows.Where(record => record.Interface == cluster.Client.Interface && record.Text("destination.ip") == $"{vip.Address}").ToList();
        Assert.Equal(clients.Select(client => (long)client.Port).Order(), records.Select(record => record.Number("source.port")).Distinct().Order());
        Assert.All(records, record => Assert.Equal(("service", "steady"), (record.Text("destination.class"), record.Text("destination.k8s.service.name"))));
        Assert.Equal(["moving-7"], ServicesAt(VipOf(7, Rounds)));
        Assert.Equal([null], ServicesAt(VipOf(7, Rounds - 1)));
        await cluster.AssertExactAsync(cluster.Client, cluster.Backend);
        Assert.Equal(lists, (await cluster.Exporter.ScrapeAsync()).Sum("podnet_exporter_kubernetes_relists_total"));

        // Each round moves all Services, and a change is of a Service and of its slice.
        async Task ChurnAsync()
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
            for (var round = 0; round <= Rounds; round++)
            {
                for (var number = 0; number < Services; number++)
                {
                    cluster.Change($"moving-{number}", new(VipOf(number, round), 80), new(new IPAddress([10, 98, (byte)round, (byte)(number + 1)]), 80));
                }
                await timer.WaitForNextTickAsync();
            }
        }

        static IPAddress VipOf(int number, int round) => new([10, 97, (byte)round, (byte)(number + 1)]);

        IEnumerable<string?> ServicesAt(IPAddress address) =>
            cluster.Node.Records.Flows.Where(record => record.Text("destination.ip") == $"{address}").Select(record => record.Text("destination.k8s.service.name")).Distinct();
    }

    private IEnumerable<FlowLine> FlowsOf(Connection connection, Pod? at = null) => cluster.Node.Records.Flows.Where(record =>
        record.Interface == (at ?? cluster.Client).Interface && record.Tuple == FlowLife.TupleOf("tcp", connection.ClientEnd, connection.ServerEnd));

    private static (string? Source, string? Destination) NamesOf(FlowLine record) => (record.Text("source.k8s.pod.name"), record.Text("destination.k8s.pod.name"));
}
