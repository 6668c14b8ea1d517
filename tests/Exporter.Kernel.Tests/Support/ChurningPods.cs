using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Exporter.Tests.Kubernetes;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// Pods as a kubelet and a CNI plugin make them, that live for a short while, send and receive, and hand their address to the next at
/// once. What the API server tells of it comes later, in the order in which it happened.
/// </summary>
/// <param name="random">Of lives, traffic and delays.</param>
internal sealed class ChurningPods(KubernetesNode node, Random random) : IDisposable
{
    /// <summary>The host's address on every pod's link, as Calico does it.</summary>
    private const string Gateway = "169.254.77.1";

    private readonly Channel<Action<Cluster>> _reports = Channel.CreateUnbounded<Action<Cluster>>();
    private readonly ConcurrentBag<Life> _lives = [];
    private readonly ConcurrentStack<string> _free = [];
    private readonly Socket _host = OpenHostSocket();
    private readonly Lock _lock = new();
    private int _number;

    /// <summary>What each pod carried by its interface's own counters.</summary>
    internal IReadOnlyCollection<Life> Lives => _lives;

    public void Dispose()
    {
        _host.Dispose();
        Shell.TryRun("ip", "addr", "del", $"{Gateway}/32", "dev", "lo");
    }

    /// <summary>So many pods, so many of them at once on so many addresses.</summary>
    internal async Task RunAsync(int pods, int atOnce, int addresses)
    {
        foreach (var address in Enumerable.Range(1, addresses))
        {
            _free.Push($"10.77.0.{address}");
        }
        var reporting = ReportAsync();
        await Parallel.ForAsync(0, pods, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (_, _) => await LiveAsync());
        _reports.Writer.Complete();
        await reporting;
    }

    private static Socket OpenHostSocket()
    {
        Shell.Ip($"addr replace {Gateway}/32 dev lo");
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(Gateway), 0));
        return socket;
    }

    private static InterfaceCounters ReadCounters(string name)
    {
        ulong Read(string counter) => ulong.Parse(File.ReadAllText($"/sys/class/net/{name}/statistics/{counter}"), CultureInfo.InvariantCulture);
        return new(Read("rx_packets"), Read("rx_bytes"), Read("tx_packets"), Read("tx_bytes"), Read("tx_dropped"));
    }

    /// <summary>The kubelet tells the API server of one thing after the other, and not at once.</summary>
    private async Task ReportAsync()
    {
        await foreach (var report in _reports.Reader.ReadAllAsync())
        {
            var delay = Next(20) == 0 ? 400 : Next(20);
            await Task.Delay(delay);
            report(node.Cluster);
        }
    }

    private int Next(int below)
    {
        lock (_lock)
        {
            return random.Next(below);
        }
    }

    private async Task LiveAsync()
    {
        var number = Interlocked.Increment(ref _number);
        var (name, link) = ($"churn-{number}", $"pntc{number}");
        var life = TimeSpan.FromMilliseconds(500 + Next(2500));
        Assert.True(_free.TryPop(out var address));
        var startTime = DateTimeOffset.UtcNow;
        _reports.Writer.TryWrite(cluster =>
        {
            cluster.Add(new("churn", name) { NodeName = KubernetesNode.Name });
            cluster.Modify("churn", name, pod => pod with { StartTime = startTime });
        });

        using var ns = new NetworkNamespace(name);
        Shell.Ip($"link add {link} type veth peer name eth0 netns {ns.Name}");
        // Else what it sends while the programs are being attached is missed, and only counted as that.
        await node.Exporter.WaitForAttachedAsync(link);
        Shell.Ip($"link set {link} up");
        Shell.Ip($"route replace {address}/32 dev {link}");
        ns.Ip($"addr add {address}/32 dev eth0");
        ns.Ip("link set eth0 up");
        Pod.WaitForCarrier(link);
        ns.Ip($"route add {Gateway} dev eth0");
        // By the kubelet's clock, however late the API server hears of it.
        var startedAt = DateTimeOffset.UtcNow;
        _reports.Writer.TryWrite(cluster => cluster.Modify("churn", name, pod => pod with { Phase = "Running", PodIps = [address], StartedAt = startedAt }));

        using (var socket = ns.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        {
            socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
            for (var left = life; left > TimeSpan.Zero; left -= TimeSpan.FromMilliseconds(50))
            {
                for (var i = Next(20); i >= 0; i--)
                {
                    socket.SendTo(new byte[1 + Next(1400)], _host.LocalEndPoint!);
                    _host.SendTo(new byte[1 + Next(1400)], socket.LocalEndPoint!);
                }
                await Task.Delay(50);
            }
        }
        // However slow the machine is: of an interface whose address was never seen nobody can say whose it was.
        await node.Exporter.GetPodsUntilAsync(pods => pods.Addressed.Contains(link));
        _reports.Writer.TryWrite(cluster => cluster.Modify("churn", name, pod => pod with { DeletionTimestamp = DateTimeOffset.UtcNow.AddSeconds(30) }));

        // Nothing moves any more when its counters are read. This end first: a packet to one that is down passes the program and is dropped.
        Shell.Ip($"link set {link} down");
        _lives.Add(new(name, ReadCounters(link)));
        Shell.Ip($"link delete {link}");
        _free.Push(address);
        _reports.Writer.TryWrite(cluster => cluster.Delete("churn", name));
    }

    internal sealed record Life(string Pod, InterfaceCounters Counters);
}
