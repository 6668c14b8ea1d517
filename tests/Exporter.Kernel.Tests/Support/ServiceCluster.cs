using System.Globalization;
using System.Net;
using Exporter.Tests.Kubernetes;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// A node of a cluster with Services, which nftables translates as kube-proxy does: what goes to a Service's own address, or to its port of the node, goes
/// to a backend. The flows of its pods are recorded.
/// </summary>
public sealed class ServiceCluster : IAsyncLifetime
{
    internal const string Namespace = "shop";

    /// <summary>The node's own, where NodePorts are.</summary>
    internal const string NodeAddress = "10.9.9.1";

    private const string Forwarding = "/proc/sys/net/ipv4/ip_forward";
    private const string Table = "pnt_services";

    private readonly string _forwarding = File.ReadAllText(Forwarding);
    private readonly List<Pod> _pods = [];
    private ApiServer _server = null!;
    private ServedObjects _services = null!;
    private ServedObjects _slices = null!;
    private ServedObjects _nodes = null!;
    private int _addresses;

    internal FlowNode Node { get; private set; } = null!;

    internal ExporterProcess Exporter { get; private set; } = null!;

    internal Pod Client { get; private set; } = null!;

    internal Pod Backend { get; private set; } = null!;

    /// <summary>A pod of another node: no program is attached to the way to it.</summary>
    internal Pod Remote { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllTextAsync(Forwarding, "1");
        _server = await ApiServer.CreateAsync();
        (_services, _slices, _nodes) = (
            new(_server, "/api/v1/services", "ServiceList"),
            new(_server, "/apis/discovery.k8s.io/v1/endpointslices", "EndpointSliceList"),
            new(_server, "/api/v1/nodes", "NodeList"));
        Remote = new Pod().Up();
        Shell.Ip($"addr add {NodeAddress}/32 dev lo");
        Shell.Run(
            "nft",
            $$"""
            table ip {{Table}} {
                chain services { type nat hook prerouting priority dstnat; }
                chain outgoing { type nat hook postrouting priority srcnat; ct mark 0x4000 masquerade; }
            }
            """);
        Node = new("--Identity:Source=kubernetes", $"--Kubernetes:Kubeconfig={_server.Files.Kubeconfig}", $"--Kubernetes:NodeName={KubernetesNode.Name}", "--Edges:Level=workload", $"--Attach:Exclude=^{Remote.Interface}$");
        Exporter = await Node.StartAsync();
        (Client, Backend) = (await AddPodAsync(), await AddPodAsync());
        // The API server knows none of the addresses that the node has in the pods' networks.
        await SetAsync(_nodes, KubernetesNode.Name, $$"""
            "status":{"addresses":[{"type":"InternalIP","address":"{{NodeAddress}}"}]}
            """, addresses: 1);
    }

    public async ValueTask DisposeAsync()
    {
        Exporter?.Dispose();
        Node?.Dispose();
        _pods.ForEach(pod => pod.Dispose());
        Remote?.Dispose();
        Shell.TryRun("nft", "delete", "table", "ip", Table);
        Shell.TryRun("ip", "addr", "del", $"{NodeAddress}/32", "dev", "lo");
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
        await File.WriteAllTextAsync(Forwarding, _forwarding);
    }

    /// <summary>A Service with one backend, as soon as the exporter knows it.</summary>
    internal async Task AddServiceAsync(string name, IPEndPoint vip, IPEndPoint backend)
    {
        await SetAsync(_services, $"data/{name}", $$"""
            "spec":{"clusterIP":"{{vip.Address}}","ports":[{"port":{{vip.Port}},"protocol":"TCP","nodePort":{{NodePortOf(vip)}} }]}
            """, addresses: 1);
        await SetAsync(_slices, $"data/{name}-1", $$"""
            "endpoints":[{"addresses":["{{backend.Address}}"],"conditions":{"ready":true} }],"ports":[{"port":{{backend.Port}},"protocol":"TCP"}]
            """, addresses: 1, $$"""{"kubernetes.io/service-name":"{{name}}"}""");
        var to = $"{backend.Address}:{Text(backend.Port)}";
        // As kube-proxy: a pod that reaches itself has to have its answers come back through the node, as has one that comes by a NodePort.
        Shell.Run("nft", $"add rule ip {Table} services ip daddr {vip.Address} tcp dport {Text(vip.Port)} ip saddr {backend.Address} ct mark set 0x4000");
        Shell.Run("nft", $"add rule ip {Table} services ip daddr {vip.Address} tcp dport {Text(vip.Port)} dnat to {to}");
        Shell.Run("nft", $"add rule ip {Table} services ip daddr {NodeAddress} tcp dport {Text(NodePortOf(vip))} ct mark set 0x4000 dnat to {to}");
    }

    /// <summary>Adds a Service with one backend, or moves it to other addresses, and waits for nothing.</summary>
    internal void Change(string name, IPEndPoint vip, IPEndPoint backend)
    {
        _services.Set($"data/{name}", $$"""
            "spec":{"clusterIP":"{{vip.Address}}","ports":[{"port":{{vip.Port}},"protocol":"TCP"}]}
            """.Trim());
        _slices.Set($"data/{name}-1", $$"""
            "endpoints":[{"addresses":["{{backend.Address}}"],"conditions":{"ready":true} }],"ports":[{"port":{{backend.Port}},"protocol":"TCP"}]
            """.Trim(), $$"""{"kubernetes.io/service-name":"{{name}}"}""");
    }

    internal static int NodePortOf(IPEndPoint vip) => 30_000 + vip.Port;

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>The exporter is killed, and another takes its place after something was done without one.</summary>
    internal async Task RestartAsync(Action meanwhile)
    {
        Exporter.Kill();
        Exporter.Dispose();
        meanwhile();
        Exporter = await Node.StartAsync();
    }

    /// <summary>A pod that is up, and that the exporter knows by its name. It is removed with the cluster at the latest.</summary>
    internal async Task<Pod> AddPodAsync()
    {
        var pod = await Exporter.AddPodAsync();
        await RunAsync(pod, pod.Address, pod.Address6);
        return pod;
    }

    /// <summary>The same with IPv6 alone.</summary>
    internal async Task<Pod> AddIpv6PodAsync()
    {
        var pod = new Pod();
        await Exporter.WaitForAttachedAsync(pod.Interface);
        await RunAsync(pod.UpWithIpv6Alone(), pod.Address6);
        return pod;
    }

    /// <summary>The pod ends, and leaves the cluster: nobody has its addresses.</summary>
    internal async Task RemovePodAsync(Pod pod)
    {
        _server.Cluster.Delete(Namespace, pod.Name);
        pod.Dispose();
        await Exporter.GetPodsUntilAsync(pods => !pods.Attached.Contains(pod.Interface));
    }

    /// <summary>Another pod, with the IPv4 address of one that was removed.</summary>
    internal async Task<Pod> AddPodInsteadAsync(Pod removed)
    {
        var pod = await Exporter.AddPodAgainAsync(removed.HostAddress, removed.Address);
        pod.Namespace.Ip($"route add default via {removed.HostAddress}");
        await RunAsync(pod, removed.Address);
        return pod;
    }

    /// <summary>Waits until flows and rests are the pods' interfaces' counters, and each workload's edges are.</summary>
    internal async Task AssertExactAsync(params Pod[] pods)
    {
        await Node.AssertExactAsync(Exporter, pods);
        foreach (var pod in pods)
        {
            await Exporter.ScrapeUntilAsync(samples => pod.ReadCounters().IsCountedAs(samples.Edges(WorkloadOf(pod))));
        }
    }

    /// <summary>Tells of a pod that is there, and waits until the exporter has its name.</summary>
    private async Task RunAsync(Pod pod, params IPAddress[] addresses)
    {
        _pods.Add(pod);
        _server.Cluster.Add(new(Namespace, pod.Name) { NodeName = KubernetesNode.Name, StartTime = DateTimeOffset.UtcNow.AddMinutes(-1), Owners = [new("StatefulSet", WorkloadOf(pod))] });
        _server.Cluster.SetStatus(Namespace, pod.Name, "Running", [.. addresses.Select(address => $"{address}")]);
        await Exporter.GetPodsUntilAsync(pods => pods.Interfaces(pod.Name).Count == 1);
    }

    internal static string WorkloadOf(Pod pod) => $"{pod.Name}-set";

    /// <summary>Adds an object with so many addresses, and waits until the exporter knows them.</summary>
    private async Task SetAsync(ServedObjects objects, string name, string body, int addresses, string labels = "{}")
    {
        _addresses += addresses;
        objects.Set(name, body.Trim(), labels);
        await Exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_peer_addresses"] == _addresses);
    }
}
