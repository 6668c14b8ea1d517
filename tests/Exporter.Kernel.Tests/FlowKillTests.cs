using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The exporter ends in whatever way, and another one continues: each record arrives or is counted as lost, and its repeats are the same.</summary>
public sealed class FlowKillTests(ITestOutputHelper output)
{
    private const int Kills = 10;

    /// <summary>The ends of these lives are a SIGTERM.</summary>
    private static readonly int[] Terminations = [4, 8];

    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task Killed_at_random_moments_under_load_each_record_arrives_or_is_counted_as_lost(string hook)
    {
        var seed = FuzzSeed.Choose();
        output.WriteLine($"{FuzzSeed.Variable}={seed}");
        var random = new Random(seed);
        using var node = new FlowNode($"--Attach:Hook={hook}", "--Flows:Interval=00:00:00.3");
        using var one = new Pod();
        using var other = new Pod();
        await node.AttachAsync(one, other);
        using (var connection = Connection.Open(one))
        using (new SteadyLoad(one, other))
        {
            for (var life = 0; life < Kills + Terminations.Length; life++)
            {
                using var exporter = await node.StartAsync();
                connection.Send(random.Next(1, 10_000));
                await Task.Delay(random.Next(1, 1500));
                if (Terminations.Contains(life))
                {
                    Assert.Equal(0, exporter.Terminate());
                }
                else
                {
                    exporter.Kill();
                }
            }
        }

        using var last = await node.StartAsync();
        await AssertAllIsThereOrLostAsync(node, last, one, other);
        Assert.Single(node.Records.Lines.Select(line => line.Epoch).Distinct());
        Assert.True(node.Records.Flows.Count() > 1000);
    }

    /// <summary>Half of the lives have the options of the one before: then an interval is written again.</summary>
    [Fact]
    public async Task Killed_at_random_moments_and_started_with_other_options_all_adds_up()
    {
        var seed = FuzzSeed.Choose();
        output.WriteLine($"{FuzzSeed.Variable}={seed} {ChangingOptions.LivesVariable}={ChangingOptions.Lives}");
        var random = new Random(seed);
        using var node = new FlowNode("--Edges:Level=workload");
        using var one = new Pod();
        using var other = new Pod();
        await node.AttachAsync(one, other);
        var options = ChangingOptions.First;
        using (var connection = Connection.Open(one))
        using (new SteadyLoad(one, other))
        {
            for (var life = 0; life < ChangingOptions.Lives; life++)
            {
                options = ChangingOptions.Next(random, options);
                using var exporter = await node.StartAsync(options);
                connection.Send(random.Next(1, 10_000));
                await Task.Delay(random.Next(1, 1500));
                exporter.Kill();
            }
        }

        using var last = await node.StartAsync();
        var missing = await AssertArrivedOrLostAsync(node);
        if (missing == 0)
        {
            await node.AssertExactAsync(last, one, other);
        }
        // An interval that a kill cut short is not written again with other options: its records are missing, and all counters have its packets.
        await PinnedNode.AssertExactAsync(last, one, other);
        foreach (var pod in (Pod[])[one, other])
        {
            await last.ScrapeUntilAsync(samples => pod.ReadCounters().IsCountedAs(samples.Edges(pod.Name)));
            var (counters, recorded) = (pod.ReadCounters(), node.Records.SumOf(pod.Interface));
            Assert.InRange(recorded.TransmittedPackets, 1ul, counters.TransmittedPackets);
            Assert.InRange(recorded.TransmittedBytes, 1ul, counters.TransmittedBytes);
            Assert.InRange(recorded.ReceivedPackets, 1ul, counters.ReceivedPackets);
            Assert.InRange(recorded.ReceivedBytes, 1ul, counters.ReceivedBytes);
        }
        var end = node.Records.Intervals.Last();
        output.WriteLine($"{end.Interval} intervals, {end.Number("interval.issued")} records issued, {end.Number("interval.lost")} counted as lost, {missing} missing, {node.Records.Lines.Count(line => line is { IsInterval: false, IsRepeat: true })} repeats");
    }

    /// <summary>They are in a pair of maps that is laid out otherwise than the new process's, and is read once more.</summary>
    [Fact]
    public async Task What_was_counted_with_another_MaxFlows_is_rest_of_a_previous_layout_and_nothing_is_missing()
    {
        const int Datagrams = 300;
        using var node = new FlowNode("--Edges:Level=workload");
        using var pod = new Pod();
        await node.AttachAsync(pod);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Datagrams, 100, fromPod: true);

        using var last = await node.StartAsync("--Flows:MaxFlows=4096");
        // Until then the previous program counts, into the previous maps.
        await last.WaitForAttachedAsync(pod.Interface);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Datagrams, 100, fromPod: true);

        await node.AssertExactAsync(last, pod);
        var previous = node.Records.Rests.Where(rest => rest.Text("rest.reason") == "previous_layout" && rest.Text("rest.direction") == "transmit").ToList();
        Assert.InRange(previous.Sum(rest => rest.Number("rest.packets")), Datagrams, (2 * Datagrams) - 1);
        Assert.Single(previous.Select(rest => rest.Interval).Distinct());
        Assert.Equal(Datagrams, node.Records.Flows.Where(flow => flow.Text("source.ip") == pod.Address.ToString() && flow.Text("network.transport") == "udp").Sum(flow => flow.Number("source.packets")));
        await last.ScrapeUntilAsync(samples => pod.ReadCounters().IsCountedAs(samples.Edges(pod.Name)));
    }

    /// <summary>Its first packets are in rests, but the flow table has seen them.</summary>
    [Fact]
    public async Task A_connection_that_begins_while_no_exporter_runs_keeps_its_source_and_its_start_with_another_MaxFlows()
    {
        using var node = new FlowNode();
        using var pod = new Pod();
        await node.AttachAsync(pod);
        var before = DateTimeOffset.UtcNow;
        // By its ports the server would have begun.
        using var connection = Connection.Open(pod, port: 2000);
        var after = DateTimeOffset.UtcNow;

        using var last = await node.StartAsync("--Flows:MaxFlows=4096");
        await last.WaitForAttachedAsync(pod.Interface);
        connection.Send(100);
        await node.AssertExactAsync(last, pod);

        var flows = node.Records.Flows.Where(flow => flow.Text("network.transport") == "tcp").ToList();
        Assert.NotEmpty(flows);
        Assert.All(flows, flow => Assert.Equal((pod.Address.ToString(), 2000, "syn", 0), (flow.Text("source.ip"), flow.Number("source.port"), flow.Text("flow.orientation"), flow.Number("flow.connections"))));
        Assert.All(flows, flow => Assert.InRange(DateTimeOffset.Parse(flow.Text("flow.start")!, CultureInfo.InvariantCulture), before - FlowLife.Resolution, after + FlowLife.Resolution));
    }

    /// <summary>Between two intervals nothing is under way.</summary>
    [Theory]
    [InlineData("--Flows:Sampling=1")]
    [InlineData("--Flows:Aggregate=workload")]
    public async Task What_the_sink_has_acknowledged_before_a_kill_is_neither_lost_nor_written_again(string next)
    {
        using var node = new FlowNode("--Flows:Interval=00:00:05");
        using var pod = new Pod();
        await node.AttachAsync(pod);
        using (var first = await node.StartAsync())
        {
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
            await node.SettleAsync();
            // The last line is in the file, and will be acknowledged and noted.
            await Task.Delay(TimeSpan.FromSeconds(1));
            first.Kill();
        }

        using var last = await node.StartAsync(next);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);

        await node.AssertExactAsync(last, pod);
        Assert.DoesNotContain(node.Records.Lines, line => line.IsRepeat);
        Assert.Equal(0, (await last.ScrapeAsync()).Sum("podnet_exporter_flow_records_lost_total"));
    }

    /// <summary>The sink hangs, and the process is killed with records that are nowhere else.</summary>
    [Fact]
    public async Task Records_of_a_killed_process_that_are_nowhere_else_are_counted_as_lost()
    {
        using var node = new FlowNode("--Flows:Interval=00:00:00.3");
        using var pod = new Pod();
        await node.AttachAsync(pod);
        using (var first = await node.StartAsync())
        {
            // The first line makes the file.
            await node.SettleAsync();
            File.Move(node.Records.Path, $"{node.Records.Path}.before");
            Directory.CreateDirectory(node.Records.Path);
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
            await first.ScrapeUntilAsync(samples => samples["podnet_exporter_sink_up{sink=\"file\"}"] == 0);
            // Its interval is not the last, whose map would be read again, when another one is.
            var records = (await first.ScrapeAsync()).Sum("podnet_exporter_flow_records_total");
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
            await first.ScrapeUntilAsync(samples => samples.Sum("podnet_exporter_flow_records_total") > records);
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
            await first.ScrapeUntilAsync(samples => samples.Sum("podnet_exporter_flow_records_total") > records + 1);
            first.Kill();
        }
        Directory.Delete(node.Records.Path);
        File.Move($"{node.Records.Path}.before", node.Records.Path);

        using var last = await node.StartAsync();

        await node.ReadUntilAsync(records => records.Intervals.LastOrDefault()?.Number("interval.lost") > 0);
        await node.SettleAsync();
        node.Records.AssertArrivedOrLost();
        Assert.Equal(
            node.Records.Intervals.Last().Number("interval.lost"),
            (await last.ScrapeAsync()).Sum("podnet_exporter_flow_records_lost_total", "sink=\"file\"", "reason=\"crash\""));
    }

    [Fact]
    public async Task The_first_interval_after_a_while_without_flows_begins_when_they_are_counted_again()
    {
        using var node = new FlowNode();
        using (var first = await node.StartAsync())
        {
            await node.SettleAsync();
            Assert.Equal(0, first.Terminate());
        }
        using (var without = await node.StartAsync("--Flows:Enabled=false"))
        {
            Assert.Equal(0, without.Terminate());
        }
        node.Records.Read();
        var (before, again) = (node.Records.Intervals.Last().Interval, DateTimeOffset.UtcNow.AddMilliseconds(-1));

        using var last = await node.StartAsync();
        await node.SettleAsync();

        var next = node.Records.Intervals.First(interval => interval.Interval > before);
        Assert.InRange(next.Time("event.start")!.Value, again, next.Time("event.end")!.Value);
    }

    [Fact]
    public async Task A_flow_that_is_older_than_the_process_has_the_source_that_is_remembered()
    {
        using var node = new FlowNode();
        using var pod = new Pod();
        using var listener = TcpSockets.Listen(null);
        await node.AttachAsync(pod);
        // Its server has the higher port.
        using var connection = Connection.Open(pod, new(pod.Address, 1024), listener, pod.HostAddress);
        using (var seen = await node.StartAsync())
        {
            connection.Send(100);
            await node.SettleAsync();
            seen.Kill();
        }
        Assert.All(Find(), record => Assert.Equal(("syn", connection.ClientEnd.ToString()), (record.Text("flow.orientation"), SourceOf(record))));
        var (before, start) = (Find().Count(), Find().First().Text("flow.start"));

        using var late = await node.StartAsync();
        connection.Send(100);
        await node.SettleAsync();

        var records = Find().Skip(before).Where(record => !record.Words("tcp.flags.source").Contains("SYN", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(records);
        Assert.All(records, record => Assert.Equal(
            (connection.ClientEnd.ToString(), "source", start), (SourceOf(record), record.Text("flow.observer"), record.Text("flow.start"))));
        Assert.All(records, record => Assert.Contains(record.Text("flow.orientation"), (string[])["syn", "remembered"]));
        Assert.Equal(0, records.Sum(record => record.Connections));

        IEnumerable<FlowLine> Find() => node.Records.Flows.Where(record => record.Text("network.transport") == "tcp" && record.Number("source.packets") + record.Number("destination.packets") > 0);
    }

    [Fact]
    public async Task A_flow_that_is_older_than_the_first_process_has_the_end_with_the_higher_port_as_its_source()
    {
        using var node = new FlowNode();
        using var pod = new Pod().Up();
        using var listener = TcpSockets.Listen(null);
        using var connection = Connection.Open(pod, new(pod.Address, 1025), listener, pod.HostAddress);

        using var exporter = await node.StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);
        connection.Send(100);
        await node.SettleAsync();

        var records = node.Records.Flows.Where(record => record.Text("network.transport") == "tcp").ToList();
        Assert.NotEmpty(records);
        Assert.All(records, record => Assert.Equal(
            ("port", connection.ServerEnd.ToString(), "destination", 0L, "open", false),
            (record.Text("flow.orientation"), SourceOf(record), record.Text("flow.observer"), record.Connections, record.State, record.Has("flow.start"))));
    }

    /// <summary>What a reboot does to pins: they are gone, and the same node has the same tuples.</summary>
    [Fact]
    public async Task Without_the_pins_a_new_epoch_begins_and_no_id_comes_again()
    {
        using var node = new FlowNode("--Flows:Interval=00:00:00.3");
        using var pod = new Pod();
        for (var life = 0; life < 2; life++)
        {
            using (var exporter = await node.StartAsync())
            {
                await exporter.WaitForAttachedAsync(pod.Interface);
                if (life == 0)
                {
                    pod.Up();
                }
                using (var connection = Connection.Open(pod, port: 1026))
                {
                    connection.Send(100);
                    await node.SettleAsync();
                    connection.Client.WithReset().Close();
                }
                await node.SettleAsync();
                Assert.Equal(0, exporter.Terminate());
            }
            Assert.Equal(0, node.Node.Uninstall().ExitCode);
        }
        node.Records.Read();

        Assert.Equal(2, node.Records.Lines.Select(line => line.Epoch).Distinct().Count());
        Assert.DoesNotContain(node.Records.Lines, line => line.IsRepeat);
        Assert.All(node.Records.Lines.GroupBy(line => line.Epoch), epoch => Assert.Equal(1, epoch.First().Interval));
    }

    private static async Task AssertAllIsThereOrLostAsync(FlowNode node, ExporterProcess exporter, params Pod[] pods)
    {
        await node.AssertExactAsync(exporter, pods);
        await AssertArrivedOrLostAsync(node);
    }

    /// <returns>How many records and whole intervals are missing.</returns>
    private static async Task<long> AssertArrivedOrLostAsync(FlowNode node)
    {
        await node.SettleAsync();
        return node.Records.AssertArrivedOrLost();
    }

    private static string SourceOf(FlowLine record) => new IPEndPoint(IPAddress.Parse(record.Text("source.ip")!), (int)record.Number("source.port")).ToString();
}
