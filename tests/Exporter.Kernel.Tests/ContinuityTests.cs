using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The exporter ends, in whatever way, and another goes on: nothing is lost, and nothing counted twice.</summary>
public sealed class ContinuityTests(ITestOutputHelper output)
{
    private const int SigKill = 9;

    [Theory]
    [InlineData("tcx", 80)]
    [InlineData("clsact", 40)]
    public async Task Killed_at_random_moments_under_load_it_counts_every_packet_once_and_no_counter_goes_back(string hook, int kills)
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        using var node = new PinnedNode($"--Attach:Hook={hook}");
        using var one = new Pod();
        using var other = new Pod();
        using (var first = await node.StartAsync())
        {
            await first.WaitForAttachedAsync(one.Interface);
            await first.WaitForAttachedAsync(other.Interface);
            one.Up();
            other.Up();
        }
        var scrapes = 0;
        using (new SteadyLoad(one, other))
        {
            for (var kill = 0; kill < kills; kill++)
            {
                // Every other one dies in or between drains, however long the start takes; the others mostly while they start.
                var life = TimeSpan.FromMilliseconds(random.Next(20, 400));
                using var exporter = node.Launch();
                if (kill % 2 == 0)
                {
                    await exporter.WaitForLogAsync("Counting by");
                }
                var started = Stopwatch.GetTimestamp();
                do
                {
                    if (await TryScrapeAsync(exporter) is { } samples)
                    {
                        node.AssertOnward(samples);
                        scrapes++;
                    }
                    await Task.Delay(random.Next(1, 20));
                }
                while (Stopwatch.GetElapsedTime(started) < life);
                exporter.Kill();
            }
        }
        output.WriteLine($"{scrapes} scrapes");
        Assert.True(scrapes >= kills / 2, $"only {scrapes} scrapes were answered");

        using var last = await node.StartAsync();
        node.AssertOnward(await last.ScrapeAsync());
        await PinnedNode.AssertExactAsync(last, one, other);
        Assert.True(one.ReadCounters().TransmittedPackets > 10_000);
    }

    [Fact]
    public async Task After_a_restart_the_pods_page_shows_the_totals_that_the_metrics_show()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        using (var first = await node.StartAsync())
        {
            await first.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 500, 100, fromPod: true);
            await PinnedNode.AssertExactAsync(first, pod);
            first.Kill();
        }
        using var second = await node.StartAsync();
        await PinnedNode.AssertExactAsync(second, pod);

        // What neighbour discovery sends between the two requests is in the next pair of answers.
        await second.GetPodsUntilAsync(pods => pod.ReadCounters().IsCountedAs(pods.Traffic(pod.Name)));
    }

    /// <summary>
    /// The kernel skips a program that has interrupted itself, which no test can bring about, and counts its misses. Here an exporter seems to
    /// have attached its second program after seven, and to have been killed before it could count them.
    /// </summary>
    [Fact]
    public async Task What_the_kernel_has_kept_from_the_handshake_programs_of_killed_exporters_adds_up()
    {
        using var node = new PinnedNode();
        for (var exporters = 0; exporters < 4; exporters++)
        {
            using var exporter = await node.StartAsync();
            // What is counted is not left to the next.
            var program = "";
            await exporter.ScrapeUntilAsync(samples =>
                Missed(samples) == 7 * exporters && (program = FindPrograms().FirstOrDefault()) is not null && FindPrograms().Length == 1);
            exporter.Kill();
            File.CreateSymbolicLink($"{program}_missed", "7");
        }
        using var last = await node.StartAsync("--Handshake:Hook=off");
        Assert.Equal(7 * 3, Missed(await last.ScrapeAsync()));

        string[] FindPrograms() => Directory.GetFileSystemEntries($"{node.Folder}/handshake_programs");

        static double Missed(MetricSamples samples) => samples.Sum("podnet_exporter_lost_handshakes_total", "reason=\"missed\"");
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task Ended_and_started_again_under_load_it_misses_no_packet(string hook)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}");
        using var pod = new Pod();
        using (var first = await node.StartAsync())
        {
            await first.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            Assert.Equal(0, first.Terminate());
        }
        using (new SteadyLoad(pod))
        {
            for (var restart = 0; restart < 10; restart++)
            {
                using var exporter = await node.StartAsync();
                node.AssertOnward(await exporter.ScrapeAsync());
                Assert.Equal(0, exporter.Terminate());
                Assert.Contains(exporter.Log, line => line.Contains("Left programs attached to", StringComparison.Ordinal));
            }
        }
        using var last = await node.StartAsync();
        await PinnedNode.AssertExactAsync(last, pod);
    }

    /// <summary>At every one of the calls by which a start changes something in the kernel.</summary>
    [Fact]
    public async Task Killed_at_any_call_into_the_kernel_while_it_starts_it_counts_every_packet_once()
    {
        using var node = new PinnedNode("--Handshake:Hook=off", "--Drain:Interval=00:00:30");
        using var pod = new Pod();
        await AttachAsync(node, pod);
        var call = 1;
        // In the end it lives until it is asked to end.
        while (RunTraced(node, call) != 0)
        {
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 50, 100, fromPod: true);
            call++;
        }
        output.WriteLine($"{call - 1} calls");
        Assert.True(call > 30, $"it was killed at {call - 1} calls only");

        using var last = await node.StartAsync("--Drain:Interval=00:00:00.1");
        await PinnedNode.AssertExactAsync(last, pod);
    }

    /// <summary>At every one of the calls of some drains in a row: the maps are swapped, read, emptied.</summary>
    [Theory]
    [InlineData("is the same", 1)]
    [InlineData("has other maps", 3)]
    [InlineData("has no handshakes for a moment", 3)]
    public async Task Killed_at_any_call_into_the_kernel_while_it_drains_it_counts_every_packet_once(string next, int step)
    {
        const int Calls = 30;
        using var node = new PinnedNode();
        using var pod = new Pod();
        await AttachAsync(node, pod);
        for (var call = 1; call <= Calls; call += step)
        {
            if (next == "has no handshakes for a moment")
            {
                using (await node.StartAsync("--Handshake:Hook=off"))
                {
                }
            }
            using var exporter = await node.StartAsync(next == "has other maps" ? [string.Create(CultureInfo.InvariantCulture, $"--Bpf:MaxInterfaces={100 + call}")] : []);
            TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1 << 16);
            using var strace = Process.Start(
                "strace",
                ["-f", "-qq", "-o", "/dev/null", "-e", "trace=bpf", "-e", Inject(call), "-p", exporter.Id.ToString(CultureInfo.InvariantCulture)]);
            TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1 << 16);
            // It ends with the one that it traces.
            await strace.WaitForExitAsync();
            Assert.True(exporter.WaitForExit() == 128 + SigKill, string.Join('\n', exporter.Log));
        }

        using var last = await node.StartAsync();
        await PinnedNode.AssertExactAsync(last, pod);
        // They have a drain of their own, which may end later. Where there were none of them, the series had left.
        const int Handshakes = 2 * Calls;
        var samples = await last.ScrapeUntilAsync(samples => Sum(samples) >= Handshakes / step);
        Assert.Equal(Handshakes / step, Sum(samples));

        double Sum(MetricSamples samples) =>
            samples.Sum("podnet_tcp_handshake_duration_seconds_count", $"pod=\"{pod.Name}\"", "role=\"server\"") + (samples["podnet_exporter_retired_handshakes_total{role=\"server\"}"] ?? 0);
    }

    [Fact]
    public async Task Killed_by_the_kernel_because_memory_is_used_up_it_loses_nothing()
    {
        using var memory = new MemoryGroup(256 << 20);
        using var node = new PinnedNode();
        using var pod = new Pod();
        using var exporter = await ExporterProcess.StartBehindAsync([.. memory.Behind(), ExporterProcess.Binary], node.Options);
        await exporter.WaitForAttachedAsync(pod.Interface);
        pod.Up();
        using (new SteadyLoad(pod))
        {
            await exporter.ScrapeUntilAsync(samples => samples.Traffic(pod.Name).TransmittedPackets > 1000);
            node.AssertOnward(await exporter.ScrapeAsync());

            // Some of what is used is given back before anybody is killed.
            for (var bytes = memory.Free; !exporter.HasExited; bytes += 4 << 20)
            {
                memory.Use(bytes);
            }

            Assert.Equal(128 + SigKill, exporter.WaitForExit());
            Assert.True(memory.Kills > 0);
        }
        using var last = await node.StartAsync();
        node.AssertOnward(await last.ScrapeAsync());
        await PinnedNode.AssertExactAsync(last, pod);
    }

    [Fact]
    public async Task Stopped_for_some_seconds_it_goes_on_as_if_nothing_had_been()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        using var exporter = await node.StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);
        pod.Up();
        using (new SteadyLoad(pod))
        {
            node.AssertOnward(await exporter.ScrapeAsync());
            Shell.Run("kill", "-STOP", exporter.Id.ToString(CultureInfo.InvariantCulture));
            // What is tested is that it does not run for that long.
            await Task.Delay(TimeSpan.FromSeconds(8));
            Shell.Run("kill", "-CONT", exporter.Id.ToString(CultureInfo.InvariantCulture));
            node.AssertOnward(await exporter.ScrapeAsync());
        }
        await PinnedNode.AssertExactAsync(exporter, pod);
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task What_a_pod_had_sent_that_is_gone_before_the_next_exporter_comes_is_still_its_own(string hook)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}");
        var pod = new Pod();
        using (var first = await node.StartAsync())
        {
            await first.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            first.Kill();
        }
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 321, 100, fromPod: true);
        pod.Dispose();
        using var late = new Pod().Up();
        TestTraffic.Udp(late, AddressFamily.InterNetwork, 50, 100, fromPod: true);

        using var exporter = await node.StartAsync();

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "transport=\"udp\"") == 321);
        Assert.Equal(0, samples.Sum("podnet_exporter_unattributed_packets_total"));
        await exporter.WaitForAttachedAsync(late.Interface);
        Assert.InRange((await exporter.ScrapeAsync()).Sum("podnet_exporter_unattached_packets_total", "direction=\"transmit\""), 50, 100);
    }

    [Fact]
    public async Task Of_two_at_once_the_second_waits_and_takes_over()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        using var first = await node.StartAsync();
        await first.WaitForAttachedAsync(pod.Interface);
        pod.Up();
        using (new SteadyLoad(pod))
        {
            using var second = await ExporterProcess.StartAsync(node.Options);
            var waiting = await second.ScrapeAsync();
            Assert.Equal(1, waiting["podnet_exporter_standby{reason=\"waiting\"}"]);
            Assert.Equal(0, waiting.CountPodLines());
            using (var ready = await second.RequestAsync("/readyz"))
            {
                Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
                Assert.Contains($"another exporter has the lock of {node.Folder}", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            }
            Assert.Equal(1, waiting["podnet_exporter_waiting"]);
            node.AssertOnward(await first.ScrapeAsync());

            first.Kill();

            await second.WaitForLogAsync("Resumed 1 interfaces");
            Assert.Equal(0, (await second.ScrapeUntilAsync(samples => samples.CountPodLines() > 0))["podnet_exporter_waiting"]);
            node.AssertOnward(await TryUntilAsync(second));
            Assert.Equal(0, second.Terminate());
        }
        using var last = await node.StartAsync();
        await PinnedNode.AssertExactAsync(last, pod);
    }

    [Fact]
    public async Task Totals_go_on_with_other_sizes_of_maps_and_other_bounds()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        using (var first = await node.StartAsync())
        {
            await first.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1 << 20);
            await PinnedNode.AssertExactAsync(first, pod);
            node.AssertOnward(await first.ScrapeAsync());
            first.Kill();
        }
        var before = Directory.GetDirectories(node.Folder, "*_*").Order().ToList();
        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1 << 20);

        using var exporter = await node.StartAsync("--Bpf:MaxInterfaces=77", "--Handshake:Buckets=0.001;0.1");

        await PinnedNode.AssertExactAsync(exporter, pod);
        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_tcp_handshake_duration_seconds_count", $"pod=\"{pod.Name}\"") == 2);
        Assert.Equal(2, samples.Sum("podnet_tcp_handshake_duration_seconds_bucket", $"pod=\"{pod.Name}\"", "le=\"+Inf\""));
        // Each former set of maps is gone, some drains later.
        await exporter.ScrapeUntilAsync(_ => Directory.GetDirectories(node.Folder, "*_*").Length == before.Count);
        var after = Directory.GetDirectories(node.Folder, "*_*");
        Assert.All(["/traffic_", "/handshakes_"], kind => Assert.NotEqual(before.Single(name => name.Contains(kind, StringComparison.Ordinal)), after.Single(name => name.Contains(kind, StringComparison.Ordinal))));
    }

    [Fact]
    public async Task With_other_labels_what_was_counted_before_is_told_as_retired()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        await node.CountAndKillAsync(pod, 400);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 40, 100, fromPod: true);

        using var exporter = await node.StartAsync("--Metrics:PodLabels=pod");

        await exporter.ScrapeUntilAsync(samples =>
            samples["podnet_exporter_retired_packets_total{direction=\"transmit\"}"] + samples.Sum("podnet_transmit_packets_total") == pod.ReadCounters().TransmittedPackets);
        Assert.Equal(40, (await exporter.ScrapeAsync())[$"podnet_transmit_packets_total{{pod=\"{pod.Name}\",transport=\"udp\"}}"]);
    }

    /// <summary>The pod is up, and all that it carries is counted.</summary>
    private static async Task AttachAsync(PinnedNode node, Pod pod)
    {
        using var first = await node.StartAsync();
        await first.WaitForAttachedAsync(pod.Interface);
        pod.Up();
    }

    /// <summary>Runs it for a second, unless it is killed at this call of bpf(2). Returns its exit code.</summary>
    private static int RunTraced(PinnedNode node, int call) => Shell.TryRun(
        "strace",
        [
            "-f", "-qq", "-o", "/dev/null", "-e", "trace=bpf", "-e", Inject(call), "timeout", "--preserve-status", "1",
            ExporterProcess.Binary, $"--Server:Urls=http://127.0.0.1:{node.Port.ToString(CultureInfo.InvariantCulture)}", .. node.Options,
        ]).ExitCode;

    private static string Inject(int call) => $"inject=bpf:signal=SIGKILL:when={call.ToString(CultureInfo.InvariantCulture)}";

    private static async Task<MetricSamples?> TryScrapeAsync(ExporterProcess exporter)
    {
        try
        {
            return await exporter.ScrapeAsync();
        }
        catch (HttpRequestException)
        {
            // It does not listen yet.
            return null;
        }
    }

    private static async Task<MetricSamples> TryUntilAsync(ExporterProcess exporter)
    {
        while (true)
        {
            if (await TryScrapeAsync(exporter) is { } samples && samples.CountPodLines() > 0)
            {
                return samples;
            }
        }
    }
}
