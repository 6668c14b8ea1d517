namespace Exporter.Engine.Tests.Golden;

/// <summary>The nodes, pods and Services of golden traffic.</summary>
internal sealed class GoldenCluster
{
    private readonly List<GoldenPod> _pods = [];

    internal GoldenCluster()
    {
        Web = Deploy("shop", "web", 0, 0, 1, 2, 3);
        Cart = Deploy("shop", "cart", 1, 2, 3);
        Api = Deploy("shop", "api", 0, 3);
        Edge = [Add(1, "shop", "edge-0", "edge", "Deployment", Moving, until: MovesAt)];
        Queue = [Add(3, "shop", "queue-0", "queue", "Deployment"), Add(2, "shop", "queue-1", "queue", "Deployment", Moving, MovesAt + TimeSpan.FromSeconds(35))];
        Database = Deploy("data", "db", 2, 3);
        Cache = Deploy("data", "cache", 0, 1);
        Dns = Deploy("kube-system", "coredns", 1, 2);
        Prometheus = Deploy("monitoring", "prometheus", 2)[0];
        Crawler = Deploy("shop", "crawler", 1)[0];
        Uploader = Deploy("media", "uploader", 0)[0];
        Backup = Deploy("ops", "backup", 2)[0];
        Hub = Deploy("iot", "hub", 0)[0];
        Shell = Deploy("dev", "shell", 0, 1);
        Probe = Deploy("dev", "probe", 1, 2);
        Old = Deploy("dev", "old", 3)[0];
        Ledger = Deploy("pay", "ledger", 0)[0];
        Report = Deploy("batch", "report", 1)[0];
        Agent = Deploy("batch", "agent", 2)[0];
        Nightly =
        [
            Add(1, "batch", "nightly-0", "nightly", "CronJob", until: TimeSpan.FromMinutes(9)),
            Add(2, "batch", "nightly-1", "nightly", "CronJob", from: TimeSpan.FromMinutes(74), until: TimeSpan.FromMinutes(74.5)),
        ];
        Sixth = [Add(0, "shop", "web-0", "web", "Deployment", "fd00:10::14"), Add(2, "data", "db-0", "db", "Deployment", "fd00:10:2::14")];
    }

    /// <summary>When the address of a pod is given back; a pod of another node has it within the minute.</summary>
    internal static TimeSpan MovesAt { get; } = TimeSpan.FromMinutes(76);

    internal IReadOnlyList<GoldenNode> Nodes { get; } =
    [
        new(0) { Losses = [(TimeSpan.FromMinutes(33.1), 3)] },
        new(1)
        {
            Clock = (TimeSpan.FromMinutes(52), TimeSpan.FromMinutes(58), TimeSpan.FromHours(1)),
            Losses = [(TimeSpan.FromMinutes(46.1), 2)],
        },
        new(2) { Lateness = (TimeSpan.FromMinutes(72), TimeSpan.FromMinutes(80), TimeSpan.FromSeconds(90)) },
        new(3) { Outage = (TimeSpan.FromMinutes(25), TimeSpan.FromMinutes(31)) },
    ];

    internal IReadOnlyList<GoldenPod> Pods => _pods;

    internal IReadOnlyList<GoldenPod> Web { get; }

    internal IReadOnlyList<GoldenPod> Cart { get; }

    internal IReadOnlyList<GoldenPod> Api { get; }

    internal IReadOnlyList<GoldenPod> Edge { get; }

    internal IReadOnlyList<GoldenPod> Queue { get; }

    internal IReadOnlyList<GoldenPod> Database { get; }

    internal IReadOnlyList<GoldenPod> Cache { get; }

    internal IReadOnlyList<GoldenPod> Dns { get; }

    internal IReadOnlyList<GoldenPod> Shell { get; }

    internal IReadOnlyList<GoldenPod> Probe { get; }

    internal IReadOnlyList<GoldenPod> Nightly { get; }

    /// <summary>A client and a server by IPv6.</summary>
    internal IReadOnlyList<GoldenPod> Sixth { get; }

    internal GoldenPod Prometheus { get; }

    internal GoldenPod Crawler { get; }

    internal GoldenPod Uploader { get; }

    internal GoldenPod Backup { get; }

    internal GoldenPod Hub { get; }

    internal GoldenPod Old { get; }

    internal GoldenPod Ledger { get; }

    internal GoldenPod Report { get; }

    internal GoldenPod Agent { get; }

    internal GoldenService CartService { get; } = new("shop", "cart", "10.96.0.20", 80);

    internal GoldenService DatabaseService { get; } = new("data", "db", "10.96.0.5", 5432);

    internal GoldenService DnsService { get; } = new("kube-system", "kube-dns", "10.96.0.10", 53);

    private static string Moving => "10.0.1.200";

    private GoldenPod[] Deploy(string space, string workload, params int[] nodes) =>
        [.. nodes.Select((node, i) => Add(node, space, $"{workload}-{i}", workload, workload is "db" or "cache" ? "StatefulSet" : "Deployment"))];

    private GoldenPod Add(int node, string space, string name, string workload, string kind, string? address = null, TimeSpan? from = null, TimeSpan? until = null)
    {
        var generation = _pods.Count + 1;
        var pod = new GoldenPod(node, space, name, workload, kind, address ?? $"10.0.{node}.{generation + 10}")
        {
            From = from ?? -TimeSpan.FromMinutes(30),
            Until = until ?? TimeSpan.MaxValue,
            Generation = generation,
        };
        _pods.Add(pod);
        return pod;
    }
}
