using System.Buffers.Binary;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>A disk without room, options that are wrong, and memory that the kernel refuses.</summary>
public sealed class FlowBadDayTests
{
    private const int BadOptions = 2, NotSupported = 3;

    /// <summary>128 and SIGABRT, 128 and SIGKILL.</summary>
    private const int Aborted = 134, Killed = 137;

    [Fact]
    public async Task On_a_full_disk_it_counts_and_answers_and_when_there_is_room_every_record_arrives()
    {
        using var disk = new SmallDisk(megabytes: 8);
        using var node = new FlowNode(disk.Folder, "--Flows:Interval=00:00:00.3");
        using var exporter = await node.StartAsync();
        using var pod = await exporter.AddPodAsync();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
        await node.SettleAsync();

        disk.Fill();
        SendTuples(pod, 1000);
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_sink_up{sink=\"file\"}"] == 0);
        await exporter.WaitForLogAsync($"there is no room for {node.Records.Path}");
        SendTuples(pod, 1000);
        await PinnedNode.AssertExactAsync(exporter, pod);
        Assert.Equal(0, (await exporter.ScrapeAsync()).Sum("podnet_exporter_flow_records_lost_total"));
        disk.Free();

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_sink_up{sink=\"file\"}"] == 1);
        await node.AssertExactAsync(exporter, pod);
        Assert.True((await exporter.ScrapeAsync())["podnet_exporter_sink_retried_records_total{sink=\"file\"}"] > 0);
        Assert.Equal(0, exporter.Terminate());
        node.Records.Read();
        node.Records.AssertComplete();
    }

    [Fact]
    public async Task On_a_disk_that_stays_full_the_records_become_fewer_and_add_up_still()
    {
        using var disk = new SmallDisk(megabytes: 32);
        using var node = new FlowNode(disk.Folder, "--Flows:Interval=00:00:00.3", "--Export:MaxMemory=8MiB");
        using var exporter = await node.StartAsync();
        using var pod = await exporter.AddPodAsync();
        await node.SettleAsync();

        disk.Fill();
        for (MetricSamples samples; (samples = await exporter.ScrapeAsync())["podnet_exporter_flow_unrecorded_packets_total{reason=\"backpressure\"}"] == 0;)
        {
            SendTuples(pod, 3000);
            var records = samples.Sum("podnet_exporter_flow_records_total");
            await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_exporter_flow_records_total") > records);
        }
        disk.Free();

        await node.AssertExactAsync(exporter, pod);
        Assert.Equal(0, exporter.Terminate());
        node.Records.Read();
        node.Records.AssertComplete();
        Assert.Contains(node.Records.Rests, rest => rest.Text("rest.reason") == "backpressure");
    }

    [Fact]
    public async Task Of_an_interval_that_memory_has_no_room_for_the_oldest_records_are_lost_and_counted_and_no_line_is_torn()
    {
        using var disk = new SmallDisk(megabytes: 64);
        using var node = new FlowNode(disk.Folder, "--Flows:Interval=00:00:02", "--Flows:MaxFlows=131072", "--Flows:MaxRecordsPerSecond=1000000", "--Export:MaxMemory=8MiB");
        using var exporter = await node.StartAsync();
        using var pod = await exporter.AddPodAsync();
        await node.SettleAsync();

        disk.Fill();
        SendTuples(pod, 30_000);
        await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_exporter_flow_records_lost_total", "reason=\"backpressure\"") > 0);
        disk.Free();
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_sink_up{sink=\"file\"}"] == 1);
        await node.SettleAsync();
        Assert.Equal(0, exporter.Terminate());

        node.Records.Read();
        Assert.Empty(node.Records.Torn);
        Assert.DoesNotContain(node.Records.Lines, line => line.IsRepeat);
        var last = node.Records.Lines[^1];
        Assert.True(last.IsInterval);
        var arrived = node.Records.Lines.Count(line => !line.IsInterval);
        Assert.Equal(arrived, last.Number("interval.acknowledged"));
        Assert.Equal(last.Number("interval.issued"), arrived + last.Number("interval.lost"));
        Assert.True(last.Number("interval.lost") > 0);
        // The end of an interval says how many records it had, the lost ones among them.
        Assert.All(node.Records.Lines.GroupBy(line => line.Interval), interval => Assert.Equal(interval.Count(), interval.Select(line => line.Sequence).Distinct().Count()));
    }

    /// <summary>The last interval of a session is in no sink when options change, and the next session can write it as the next process could.</summary>
    [Fact]
    public async Task Records_that_a_sink_has_not_taken_when_options_change_are_written_by_the_next_session()
    {
        const int Tuples = 1000;
        using var volume = new ConfigMapVolume();
        volume.Publish("options.json", "{}"u8);
        using var disk = new SmallDisk(megabytes: 8);
        using var node = new FlowNode(disk.Folder, "--Flows:Interval=00:05:00", $"--Options:File={volume.PathOf("options.json")}");
        using var exporter = await node.StartAsync();
        using var pod = await exporter.AddPodAsync();
        await node.ReadUntilAsync(records => records.Intervals.Any());
        disk.Fill();
        SendTuples(pod, Tuples);

        volume.Publish("options.json", """{"Flows": {"MaxLookups": "5"}}"""u8);
        await exporter.WaitForLogAsync("has not taken");
        await exporter.WaitForLogAsync("Counting by", lines: 2);
        disk.Free();

        await node.ReadUntilAsync(records => records.Intervals.Count() > 2);
        Assert.Equal(0, (await exporter.ScrapeAsync()).Sum("podnet_exporter_flow_records_lost_total"));
        Assert.Equal(Tuples, node.Records.Flows.Count(flow => flow.Interface == pod.Interface && flow.Text("network.transport") == "udp"));
        Assert.Equal(0, node.Records.AssertArrivedOrLost());
    }

    /// <summary>The sink takes nothing, and takes all from the next process.</summary>
    [Fact]
    public async Task At_an_end_an_interval_that_memory_has_no_room_for_is_left_to_the_next_process_and_not_lost()
    {
        using var disk = new SmallDisk(megabytes: 96);
        using var node = new FlowNode(disk.Folder, "--Flows:MaxFlows=131072", "--Flows:MaxRecordsPerSecond=1000000", "--Export:MaxMemory=8MiB");
        Pod added;
        using (var exporter = await node.StartAsync("--Flows:Interval=00:05:00"))
        {
            added = await exporter.AddPodAsync();
            await node.ReadUntilAsync(records => records.Intervals.Any());
            disk.Fill();
            SendTuples(added, 30_000);
            Assert.Equal(0, exporter.Terminate());
        }
        using var pod = added;
        disk.Free();

        using var next = await node.StartAsync();

        await node.AssertExactAsync(next, pod);
        Assert.Equal(0, (await next.ScrapeAsync()).Sum("podnet_exporter_flow_records_lost_total"));
        Assert.Equal(0, node.Records.AssertArrivedOrLost());
    }

    [Fact]
    public void Wrong_options_are_all_named_at_once_and_nothing_is_attached()
    {
        using var pod = new Pod();
        using var node = new PinnedNode(
            "--Flows:Enabled=true", "--Flows:Interval=00:00:00.01", "--Flows:MaxFlows=1", "--Flows:MaxFlowsPerPod=0", "--Flows:Sampling=0", "--Flows:MaxRecordsPerSecond=-1",
            "--Flows:Aggregate=never", "--Flows:Addresses=some", "--Edges:Classes=metadata=169.254.169.254/32", "--Export:Sinks=file,carrier-pigeon", "--Export:MaxMemory=1", "--File:Path=flows.json", "--File:MaxSize=1");

        var (exitCode, _, error) = ExporterProcess.Run(node.Options);

        Assert.Equal(BadOptions, exitCode);
        var lines = error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(
            [
                "Flows:Interval", "Flows:MaxFlows", "Flows:MaxFlowsPerPod", "Flows:Sampling", "Flows:MaxRecordsPerSecond", "Flows:Aggregate", "Flows:Addresses", "Edges:Classes", "Export:Sinks", "Export:MaxMemory", "File:Path",
                "File:MaxSize",
            ],
            key => Assert.Contains(lines, line => line.StartsWith($"{key}: ", StringComparison.Ordinal)));
        Assert.Contains("carrier-pigeon", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(node.Pins));
        Assert.DoesNotContain("podnet", Shell.Run("bpftool", "net", "show", "dev", pod.Interface), StringComparison.Ordinal);
    }

    /// <summary>
    /// From one of its first calls on, a thread is refused all of them: the library that loads programs asks a second time for a map, and otherwise.
    /// Maps of flows are among the refused.
    /// </summary>
    [Fact]
    public void Whatever_the_kernel_has_no_memory_for_at_a_start_is_named_with_a_remedy()
    {
        using var folder = new TemporaryFolder();
        using var node = new PinnedNode(FlowNode.OptionsOf(Path.Combine(folder.Path, "flows.json")));
        var named = new List<string>();
        for (var call = 1; call <= 24; call++)
        {
            var (exitCode, output, error) = Shell.TryRun(
                "strace",
                [
                    "-f", "-qq", "-o", "/dev/null", "-e", "trace=bpf", "-e", FormattableString.Invariant($"inject=bpf:error=ENOMEM:when={call}+"), "timeout", "--preserve-status", "2",
                    ExporterProcess.Binary, "--Server:Urls=http://127.0.0.1:0", .. node.Options, FormattableString.Invariant($"--Bpf:PinDirectory={node.MountPoint}/refused{call}"),
                ]);

            Assert.True(exitCode != Aborted && !error.Contains("Unhandled exception", StringComparison.Ordinal), $"{call}: {exitCode}\n{output}\n{error}");
            if (exitCode == NotSupported && error.Contains("ENOMEM", StringComparison.Ordinal))
            {
                named.Add(error);
            }
        }

        Assert.Contains(named, error => error.Contains("map 'flows_", StringComparison.Ordinal));
        Assert.All(named.Where(error => error.Contains("map 'flows_", StringComparison.Ordinal)), error => Assert.Contains("lower Flows:MaxFlows", error, StringComparison.Ordinal));
    }

    /// <summary>Since Linux 5.11 the kernel charges maps to the group of the process that makes them: it refuses them, or kills a process of the group.</summary>
    [Fact]
    public async Task Maps_of_flows_that_are_beyond_the_group_s_limit_leave_nothing_attached_and_smaller_ones_count()
    {
        using var memory = new MemoryGroup(256 << 20);
        using var node = new FlowNode();
        using var pod = new Pod();
        Assert.SkipUnless(IsCharged(memory), "the kernel does not charge maps to control groups");

        var command = memory.Behind();
        var (exitCode, output, error) = Shell.TryRun(
            command[0], [.. command[1..], ExporterProcess.Binary, "--Server:Urls=http://127.0.0.1:0", .. node.Node.Options, "--Flows:MaxFlows=1048576"]);

        Assert.True(exitCode is NotSupported or Killed, $"{exitCode}\n{output}\n{error}");
        Assert.True(exitCode == Killed || error.Contains("lower Flows:MaxFlows", StringComparison.Ordinal), error);
        Assert.DoesNotContain("podnet", Shell.Run("bpftool", "net", "show", "dev", pod.Interface), StringComparison.Ordinal);

        using var exporter = await node.StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);
        pod.Up();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
        await node.AssertExactAsync(exporter, pod);
    }

    /// <summary>Whether a map that is larger than the group cannot be made in it.</summary>
    private static bool IsCharged(MemoryGroup memory)
    {
        using var bpf = new TemporaryFolder();
        var command = memory.Behind();
        var pin = Path.Combine(bpf.Path, "map");
        Shell.Run("mount", "-t", "bpf", "bpf", bpf.Path);
        try
        {
            return Shell.TryRun(
                command[0], [.. command[1..], "bpftool", "map", "create", pin, "type", "array", "key", "4", "value", "1024", "entries", "400000", "name", "charged"]).ExitCode != 0;
        }
        finally
        {
            Shell.TryRun("rm", "-f", pin);
            Shell.Run("umount", bpf.Path);
        }
    }

    /// <summary>So many datagrams of the pod's, each with ports of its own.</summary>
    private static void SendTuples(Pod pod, int count)
    {
        var frame = Packet.Ethernet().Ipv4().Udp().Bytes(60).ToArray();
        using var socket = FrameSocket.Open(pod.Namespace, "eth0");
        for (var number = 0; number < count; number++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(34), (ushort)(1 + number));
            socket.Send(frame);
        }
    }
}
