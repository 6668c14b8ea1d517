using Exporter.Records;

namespace Exporter.Engine.Tests.Golden;

/// <summary>What the rules have to find in golden traffic, each once, in its truth.</summary>
internal static class GoldenAttacks
{
    internal static void Add(GoldenScenario scenario, GoldenTruth truth)
    {
        AddContacts(scenario, truth);
        AddScans(scenario, truth);
        AddScansThatComeAgain(scenario, truth);
        AddFoldedScans(scenario, truth);
        AddFloods(scenario, truth);
        AddExfiltration(scenario, truth);
        AddBeacon(scenario, truth);
        foreach (var node in scenario.Cluster.Nodes)
        {
            if (node.Clock.Ahead > TimeSpan.Zero)
            {
                truth.Plant("clock", null, null, null, node.Clock.Ahead.TotalSeconds, node.Clock.From, node.Clock.Until, node.Name);
            }
            foreach (var (at, records) in node.Losses)
            {
                truth.Plant("gap", null, null, null, records, node.StartOf(node.IntervalOf(at)), node.ReadingOf(node.IntervalOf(at)), node.Name);
            }
        }
    }

    private static void AddContacts(GoldenScenario scenario, GoldenTruth truth)
    {
        var cluster = scenario.Cluster;
        var first = new Conversation(cluster.Ledger, cluster.Cache[1], 6379, At(62, 10)).Carrying(900, 8, 1200, 8, 220);
        var outside = first with { Source = cluster.Cart[0], Destination = GoldenEnd.Outside("203.0.113.66"), DestinationPort = 6667, Start = At(63, 10) };
        foreach (var contact in (Conversation[])[first, outside])
        {
            scenario.Add(contact);
            scenario.Add(contact with { Start = contact.Start + TimeSpan.FromSeconds(37) });
            Plant(truth, "first_contact", contact, 1);
        }
    }

    private static void AddScans(GoldenScenario scenario, GoldenTruth truth)
    {
        const int Refused = 150;
        const int Folded = 200;
        const int Hosts = 120;
        const int FoldedHosts = 180;
        const int Slow = 40;
        var cluster = scenario.Cluster;

        var ports = new Conversation(cluster.Shell[0], cluster.Database[0], 1, At(64, 6)) { Outcome = Outcome.Refused };
        for (ushort port = 1; port <= Refused; port++)
        {
            scenario.Add(ports with { DestinationPort = port, Start = ports.Start + TimeSpan.FromMilliseconds(200 * port) });
        }
        Plant(truth, "port_scan", ports, Refused, 30, hasPort: false);

        var folded = new Conversation(cluster.Shell[1], cluster.Cart[0], 0, At(66, 12)) { Outcome = Outcome.Unanswered }.Folded(FlowGroup.Ports, Folded);
        scenario.Add(folded);
        Plant(truth, "port_scan", folded, Folded, 1, hasPort: false);

        var hosts = new Conversation(cluster.Probe[0], GoldenEnd.Many("private"), 22, At(68, 6));
        for (var host = 1; host <= Hosts; host++)
        {
            scenario.Add(hosts with
            {
                Destination = GoldenEnd.Outside($"10.9.0.{host}", "private"),
                Start = hosts.Start + TimeSpan.FromMilliseconds(250 * host),
                Outcome = host % 2 == 0 ? Outcome.Unanswered : Outcome.Refused,
            });
        }
        Plant(truth, "host_scan", hosts, Hosts, 30);

        var foldedHosts = new Conversation(cluster.Probe[1], GoldenEnd.Many("private"), 3389, At(69, 5)) { Outcome = Outcome.Unanswered }.Folded(FlowGroup.Hosts, FoldedHosts);
        scenario.Add(foldedHosts);
        Plant(truth, "host_scan", foldedHosts, FoldedHosts, 1);

        var slow = new Conversation(cluster.Old, cluster.Cache[0], 7001, At(71, 6)) { Outcome = Outcome.Refused };
        for (var port = 0; port < Slow; port++)
        {
            scenario.Add(slow with { DestinationPort = (ushort)(7001 + port), Start = slow.Start + TimeSpan.FromSeconds(12 * port) });
        }
        Plant(truth, "slow_scan", slow, Slow, 12 * Slow, hasPort: false);
    }

    /// <summary>
    /// In the first hour at once, so that no window but those of one minute (ten minutes) of the clock has enough; in the second one across two of which neither has.
    /// </summary>
    private static void AddScansThatComeAgain(GoldenScenario scenario, GoldenTruth truth)
    {
        const int Ports = 150;
        const int Slow = 40;
        var cluster = scenario.Cluster;

        var scan = new Conversation(cluster.Shell[0], cluster.Cache[0], 1, At(56, 51)) { Outcome = Outcome.Refused };
        foreach (var (again, pause) in (ReadOnlySpan<(Conversation, double)>)[(scan, 0.05), (scan with { Start = At(61, 24) }, 0.3)])
        {
            for (var port = 0; port < Ports; port++)
            {
                scenario.Add(again with { DestinationPort = (ushort)(1 + port), Start = again.Start + TimeSpan.FromSeconds(pause * port) });
            }
            Plant(truth, "port_scan", again, Ports, pause * Ports, hasPort: false);
        }

        var slow = new Conversation(cluster.Old, cluster.Cache[1], 7001, At(40, 6)) { Outcome = Outcome.Refused };
        foreach (var (again, pause) in (ReadOnlySpan<(Conversation, double)>)[(slow, 1), (slow with { Start = At(66, 6) }, 12)])
        {
            for (var port = 0; port < Slow; port++)
            {
                scenario.Add(again with { DestinationPort = (ushort)(7001 + port), Start = again.Start + TimeSpan.FromSeconds(pause * port) });
            }
            Plant(truth, "slow_scan", again, Slow, pause * Slow, hasPort: false);
        }
    }

    private static void AddFoldedScans(GoldenScenario scenario, GoldenTruth truth)
    {
        const int Ports = 160;
        const int Hosts = 120;
        var cluster = scenario.Cluster;

        var mixed = new Conversation(cluster.Shell[1], cluster.Cart[1], 0, At(78, 4)) { Outcome = Outcome.Mixed }.Folded(FlowGroup.Ports, Ports);
        scenario.Add(mixed);
        Plant(truth, "port_scan", mixed, Ports, 1, hasPort: false);

        // Each host by two ports, so a record is a host's.
        var hosts = new Conversation(cluster.Probe[1], GoldenEnd.Many("private"), 0, At(86, 6)) { Outcome = Outcome.Refused };
        for (var host = 1; host <= Hosts; host++)
        {
            scenario.Add(hosts.Folded(FlowGroup.Ports, 2) with
            {
                Destination = GoldenEnd.Outside($"10.9.2.{host}", "private"),
                Start = hosts.Start + TimeSpan.FromMilliseconds(250 * host),
            });
        }
        Plant(truth, "host_scan", hosts with { DestinationPort = 1 }, Hosts, 30);
        Plant(truth, "host_scan", hosts with { DestinationPort = 2 }, Hosts, 30);
    }

    private static void AddFloods(GoldenScenario scenario, GoldenTruth truth)
    {
        const int Sources = 1500;
        const int Folded = 5000;
        var cluster = scenario.Cluster;

        var flood = new Conversation(GoldenEnd.Many("internet"), cluster.Web[0], 443, At(81, 6)) { Outcome = Outcome.HalfOpen };
        for (var source = 0; source < Sources; source++)
        {
            scenario.Add(flood with { Source = GoldenEnd.Outside($"198.18.{source / 250}.{(source % 250) + 1}"), Start = flood.Start + TimeSpan.FromMilliseconds(20 * source) });
        }
        Plant(truth, "syn_flood", flood, Sources, 30);

        var folded = new Conversation(GoldenEnd.Many("internet"), cluster.Api[0], 443, At(83, 12)) { Outcome = Outcome.HalfOpen }.Folded(FlowGroup.Sources, Folded);
        scenario.Add(folded);
        Plant(truth, "syn_flood", folded, Folded, 1);
    }

    private static void AddExfiltration(GoldenScenario scenario, GoldenTruth truth)
    {
        const ulong Step = 10_000_000;
        const int Steps = 35;
        var report = scenario.Cluster.Report;
        var usual = new Conversation(report, GoldenEnd.Outside("203.0.113.50"), 443, At(0, 30)).Carrying(2_000_000, 1500, 20_000, 300, 11_000);
        for (var minute = 0; minute < 88; minute++)
        {
            scenario.Add(usual with { Start = At(minute, 20 + scenario.Some(25).TotalSeconds) });
        }
        var theft = usual with { Start = At(84, 6), Steps = Steps, SourceBytes = Step, SourcePackets = 7000 };
        scenario.Add(theft);
        // With the usual amount of the same minute.
        Plant(truth, "exfiltration", theft, (Step * Steps) + usual.SourceBytes, Steps, hasPort: false);
    }

    private static void AddBeacon(GoldenScenario scenario, GoldenTruth truth)
    {
        var call = new Conversation(scenario.Cluster.Agent, GoldenEnd.Outside("198.51.100.77"), 443, At(1, 30)).Carrying(300, 3, 200, 3, 30_000) with { Steps = 2 };
        var starts = new List<double>();
        for (var minute = 1; minute < 88; minute++)
        {
            var start = At(minute, 30 + scenario.Some(2).TotalSeconds);
            starts.Add(Math.Floor(start.TotalMilliseconds) / 1000);
            scenario.Add(call with { Start = start });
        }
        var pauses = starts.Zip(starts[1..], (one, next) => next - one).ToList();
        var mean = pauses.Average();
        var spread = Math.Sqrt(pauses.Sum(pause => (pause - mean) * (pause - mean)) / (pauses.Count - 1));
        Plant(truth, "beacon", call, spread / mean, starts[^1] - starts[0]);
    }

    private static void Plant(GoldenTruth truth, string rule, Conversation conversation, double value, double seconds = 0, bool hasPort = true) => truth.Plant(
        rule,
        conversation.Source,
        conversation.Destination,
        hasPort ? conversation.DestinationPort : null,
        value,
        conversation.Start,
        conversation.Start + TimeSpan.FromSeconds(seconds));

    private static TimeSpan At(double minute, double second) => TimeSpan.FromMinutes(minute) + TimeSpan.FromSeconds(second);
}
