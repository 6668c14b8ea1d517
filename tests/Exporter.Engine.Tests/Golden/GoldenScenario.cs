using Exporter.Records;

namespace Exporter.Engine.Tests.Golden;

/// <summary>The conversations of golden traffic that no rule may find, some of which look like attacks.</summary>
internal sealed class GoldenScenario
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(12);

    private readonly Random _random;
    private readonly List<Conversation> _conversations = [];
    private readonly Dictionary<FlowAddress, int> _ports = [];

    /// <param name="scale">How many times the ordinary traffic is played.</param>
    internal GoldenScenario(GoldenCluster cluster, int seed, int scale)
    {
        (Cluster, _random) = (cluster, new(seed));
        for (var i = 0; i < scale; i++)
        {
            AddOrdinary();
        }
        AddRegular();
        AddHarmless();
        AddChanges();
    }

    internal static TimeSpan Duration { get; } = TimeSpan.FromMinutes(90);

    internal static GoldenEnd Website { get; } = GoldenEnd.Outside("203.0.113.10");

    internal static GoldenEnd Visitor { get; } = GoldenEnd.Outside("198.51.100.20");

    internal GoldenCluster Cluster { get; }

    internal IReadOnlyList<Conversation> Conversations => _conversations;

    /// <summary>Adds a conversation with the next port of its source.</summary>
    internal void Add(Conversation conversation)
    {
        if (IsPossible(conversation))
        {
            _conversations.Add(conversation.SourcePort > 0 ? conversation : conversation with { SourcePort = NextPort(conversation.Source) });
        }
    }

    /// <summary>A time up to this long, at random.</summary>
    internal TimeSpan Some(double seconds) => TimeSpan.FromSeconds(seconds * _random.NextDouble());

    private void AddOrdinary()
    {
        var cluster = Cluster;
        Talk(Pods(cluster.Web), Pods(cluster.Cart), 8080, 25, cluster.CartService);
        Talk(Pods(cluster.Web), Pods(cluster.Api), 9090, 40);
        Talk(Pods(cluster.Web), Pods(cluster.Edge), 8080, 45);
        Talk(Pods(cluster.Cart), Pods(cluster.Database), 5432, 20, cluster.DatabaseService);
        Talk(Pods(cluster.Cart), Pods(cluster.Cache), 6379, 15);
        Talk(Pods(cluster.Api), Pods(cluster.Database), 5432, 30, cluster.DatabaseService);
        Talk([Visitor, GoldenEnd.Outside("192.0.2.77")], Pods(cluster.Web), 443, 20);
        Talk(Pods(cluster.Web), [Website], 443, 90);
        Talk(Pods(cluster.Ledger), [Website], 443, 120);
        Talk([cluster.Sixth[0]], [cluster.Sixth[1]], 5432, 60);
        Talk(Pods(cluster.Web), Pods(cluster.Dns), 53, 30, cluster.DnsService, IpProtocol.Udp);
    }

    /// <summary>Traffic at even pauses, none of it to an endpoint outside but of NTP.</summary>
    private void AddRegular()
    {
        var cluster = Cluster;
        foreach (var pod in (GoldenPod[])[.. cluster.Web, .. cluster.Cart, .. cluster.Api])
        {
            var kubelet = GoldenEnd.Outside($"192.168.0.{pod.Node + 10}", "node");
            var outcome = pod == cluster.Api[1] ? Outcome.Refused : Outcome.Answered;
            Repeat(new Conversation(kubelet, pod, 8081, First).Carrying(300, 4, 420, 4) with { Outcome = outcome }, 10);
            Repeat(new Conversation(cluster.Prometheus, pod, 9100, First + Some(15)).Carrying(500, 6, 9000, 9, 250) with { Outcome = outcome }, 15);
        }
        Repeat(new Conversation(cluster.Prometheus, GoldenEnd.Outside("10.0.3.250", "pods"), 9100, First) { Outcome = Outcome.Unanswered, SourcePackets = 3, SourceBytes = 222 }, 15);
        Repeat(new Conversation(cluster.Api[0], cluster.Database[0], 8008, First).Carrying(200, 4, 150, 4, 300), 10);
        Repeat(new Conversation(GoldenEnd.Outside("10.200.0.7", "private"), cluster.Web[1], 443, First).Carrying(900, 8, 4000, 8, 2000), 30);
        Repeat(new Conversation(GoldenEnd.Outside("192.168.0.10", "node"), cluster.Hub, 0, First) { Protocol = IpProtocol.Icmp, SourceBytes = 98, DestinationBytes = 98 }, 300);
        foreach (var pod in (GoldenPod[])[cluster.Web[0], cluster.Database[0], cluster.Hub])
        {
            Repeat(new Conversation(pod, GoldenEnd.Outside("203.0.113.123"), 123, First + Some(60)) { Protocol = IpProtocol.Udp, SourceBytes = 90, DestinationBytes = 90 }, 64);
        }
    }

    private void AddHarmless()
    {
        var cluster = Cluster;
        // 300 hosts in a minute, which answer.
        Repeat(new Conversation(cluster.Crawler, Website, 443, First).Carrying(2000, 10, 50_000, 40, 9000), 200, jitter: 150);
        for (var host = 0; host < 300; host++)
        {
            Add(new Conversation(cluster.Crawler, GoldenEnd.Outside($"203.0.{host / 250}.{(host % 250) + 1}"), 443, At(67, 5 + (host * 0.1))).Carrying(2000, 10, 50_000, 40, 9000));
        }
        // 150 MB a minute, as ever.
        var (pause, steps) = (TimeSpan.FromSeconds(2), (int)(TimeSpan.FromMinutes(88) / TimeSpan.FromSeconds(2)));
        Add(new Conversation(cluster.Uploader, GoldenEnd.Outside("203.0.113.30"), 443, First).Carrying(5_000_000, 3500, 60_000, 900, 12_000) with { Steps = steps, Every = pause });
        // Backends that are away, each asked again and again by a pod whose failures are folded.
        foreach (var (host, ports) in (ReadOnlySpan<(int, ulong)>)[(251, 1), (252, 2), (253, 20)])
        {
            var dead = new Conversation(cluster.Api[1], GoldenEnd.Outside($"10.0.3.{host}", "pods"), 0, At(33, 7)) { Outcome = Outcome.Unanswered }.Folded(FlowGroup.Ports, 40);
            Add(dead with { Distinct = ports, Steps = 90, Every = GoldenNode.Interval });
        }
        // Much at once, to the private network.
        Repeat(new Conversation(cluster.Backup, GoldenEnd.Outside("10.200.0.9", "private"), 873, First).Carrying(40_000, 30, 900, 12, 800), 600);
        Add(new Conversation(cluster.Backup, GoldenEnd.Outside("10.200.0.9", "private"), 873, At(71, 8)).Carrying(12_000_000, 8200, 90_000, 1500, 800) with { Steps = 30 });
        // Much at once, from the internet.
        Add(new Conversation(cluster.Crawler, Website, 443, At(73, 8)).Carrying(90_000, 1500, 15_000_000, 11_000, 9000) with { Steps = 30 });
        // A storm of questions, of which some are not answered.
        for (var question = 0; question < 600; question++)
        {
            var asked = new Conversation(cluster.Web[1], cluster.Dns[question % 2], 53, At(71, 6 + (question * 0.06))).Carrying(80, 1, 160, 1) with { Protocol = IpProtocol.Udp };
            Add(asked with { Via = cluster.DnsService, Outcome = question % 20 == 0 ? Outcome.Unanswered : Outcome.Answered });
        }
        // One connection that says each 10 s that it lives, for longer than an hour.
        Add(new Conversation(cluster.Hub, GoldenEnd.Outside("203.0.113.88"), 8883, At(5, 0)).Carrying(120, 2, 60, 1, 20_000) with { Outcome = Outcome.Kept, Steps = 450, Every = TimeSpan.FromSeconds(10) });
        // Outside at odd times, and seven times at even ones.
        Repeat(new Conversation(cluster.Ledger, GoldenEnd.Outside("203.0.113.44"), 443, First).Carrying(700, 6, 900, 6, 15_000), 130, jitter: 120);
        for (var call = 0; call < 7; call++)
        {
            Add(new Conversation(cluster.Ledger, GoldenEnd.Outside("203.0.113.45"), 443, At(10 + (call * 10), 0)).Carrying(700, 6, 900, 6, 15_000));
        }
        // A sample: each record stands for two.
        Repeat(new Conversation(cluster.Cache[0], cluster.Cache[1], 6380, First + Some(5)).Carrying(5000, 20, 600, 10, 150) with { Probability = 0.5 }, 12);
    }

    /// <summary>Addresses that change hands, pods that live for a short time, and a node that boots.</summary>
    private void AddChanges()
    {
        var cluster = Cluster;
        Talk(Pods(cluster.Web), [cluster.Queue[0]], 8080, 50);
        foreach (var client in cluster.Web)
        {
            Add(Small(client, cluster.Edge[0], 8080, GoldenCluster.MovesAt - TimeSpan.FromSeconds(3)));
            for (var call = 0; call < 20; call++)
            {
                Add(Small(client, cluster.Queue[1], 8080, GoldenCluster.MovesAt + TimeSpan.FromSeconds(36 + (call * 3)) + Some(2)));
            }
        }
        foreach (var pod in cluster.Nightly)
        {
            var from = pod.From < TimeSpan.Zero ? TimeSpan.FromMinutes(7) : pod.From;
            for (var call = 0; call < 12; call++)
            {
                Add(Small(pod, cluster.Database[0], 5432, from + TimeSpan.FromSeconds(2 + (call * 2))) with { Via = cluster.DatabaseService });
                Add(Small(cluster.Web[0], pod, 8080, from + TimeSpan.FromSeconds(3 + (call * 2))));
            }
        }
        // The same tuple, in the interval of the same number, before the node's boot and after it.
        foreach (var begin in (TimeSpan[])[TimeSpan.Zero, cluster.Nodes[3].Outage.Until + GoldenNode.Interval])
        {
            Add(Small(cluster.Api[1], cluster.Database[1], 5432, begin + TimeSpan.FromSeconds(47)) with { SourcePort = 41_000 });
        }
    }

    private Conversation Small(GoldenEnd from, GoldenEnd to, ushort port, TimeSpan at) => new(from, to, port, at)
    {
        SourceBytes = (ulong)_random.Next(300, 3000),
        SourcePackets = (ulong)_random.Next(4, 12),
        DestinationBytes = (ulong)_random.Next(300, 30_000),
        DestinationPackets = (ulong)_random.Next(4, 30),
        Rtt = (ulong)_random.Next(80, 900) * 1000,
    };

    /// <summary>Each source talks to one of the destinations about so often, at odd times.</summary>
    private void Talk(GoldenEnd[] from, GoldenEnd[] to, ushort port, double seconds, GoldenService? via = null, byte protocol = IpProtocol.Tcp)
    {
        foreach (var source in from)
        {
            for (var at = First + Some(seconds); at < Duration - TimeSpan.FromSeconds(30); at += Some(2 * seconds))
            {
                var conversation = Small(source, to[_random.Next(to.Length)], port, at) with { Via = via, Protocol = protocol };
                Add(protocol == IpProtocol.Tcp ? conversation with { Steps = _random.Next(1, 8), Every = TimeSpan.FromSeconds(2) } : conversation with { Rtt = null });
            }
        }
    }

    private void Repeat(Conversation conversation, double seconds, double jitter = 0)
    {
        for (var at = conversation.Start; at < Duration - TimeSpan.FromSeconds(30); at += TimeSpan.FromSeconds(seconds))
        {
            Add(conversation with { Start = at + Some(jitter) });
        }
    }

    private static TimeSpan At(double minute, double second) => TimeSpan.FromMinutes(minute) + TimeSpan.FromSeconds(second);

    private static GoldenEnd[] Pods(params IReadOnlyList<GoldenPod> pods) => [.. pods];

    /// <summary>Whether both ends live all the time, on nodes that are not away.</summary>
    private bool IsPossible(Conversation conversation) =>
        Lives(conversation.Source.Pod, conversation) && Lives(conversation.Destination.Pod, conversation) && conversation.Last < Duration - TimeSpan.FromSeconds(10);

    private bool Lives(GoldenPod? pod, Conversation conversation)
    {
        if (pod is null)
        {
            return true;
        }
        var room = TimeSpan.FromSeconds(20);
        var outage = Cluster.Nodes[pod.Node].Outage;
        return conversation.Start >= pod.From && conversation.Last < pod.Until
            && (outage.Until == TimeSpan.Zero || conversation.Last < outage.From - room || conversation.Start > outage.Until + room);
    }

    private ushort NextPort(GoldenEnd source)
    {
        const int Ports = 28_000;
        var used = _ports[source.Address] = _ports.GetValueOrDefault(source.Address) + 1;
        return (ushort)(32_768 + (used % Ports));
    }
}
