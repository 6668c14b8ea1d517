using System.Globalization;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The exporter changes nothing for anybody else, and leaves nothing.</summary>
public sealed class CoexistenceTests
{
    private const int Packets = 1000;

    public static TheoryData<string, bool> HooksAndEnds => new MatrixTheoryData<string, bool>(["tcx", "clsact"], [false, true]);

    [Theory]
    [MemberData(nameof(HooksAndEnds))]
    public async Task Foreign_programs_before_and_behind_ours_run_through_start_run_and_end(string hook, bool killed)
    {
        using var pod = new Pod().Up();
        using var foreign = new ForeignPrograms();
        foreign.AddFilter(pod, priority: 1);
        using (foreign.AddLink(pod))
        {
            AssertSeen(foreign, pod, times: 2);

            using (var exporter = await ExporterProcess.StartAsync($"--Attach:Hook={hook}"))
            {
                await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
                foreign.AddFilter(pod, priority: 20);
                using (foreign.AddLink(pod, atHead: true))
                {
                    AssertSeen(foreign, pod, times: 4);
                    var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", "transport=\"udp\"") >= Packets);
                    Assert.Equal(Packets, samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "transport=\"udp\""));
                }
                if (killed)
                {
                    exporter.Kill();
                }
                else
                {
                    Assert.Equal(0, exporter.Terminate());
                }
            }

            Assert.Equal(2, foreign.CountFilters(pod));
            AssertSeen(foreign, pod, times: 3);
        }
    }

    [Fact]
    public async Task A_clean_stop_removes_our_filters_and_leaves_the_qdisc()
    {
        using var pod = new Pod().Up();
        using (var exporter = await ExporterProcess.StartAsync("--Attach:Hook=clsact"))
        {
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
            Assert.Contains("podnet_transmit", Filters(pod, "ingress"), StringComparison.Ordinal);
            Assert.Contains("podnet_receive", Filters(pod, "egress"), StringComparison.Ordinal);

            Assert.Equal(0, exporter.Terminate());
        }

        Assert.Empty(Filters(pod, "ingress"));
        Assert.Empty(Filters(pod, "egress"));
        Assert.Contains("clsact", Shell.Tc($"qdisc show dev {pod.Interface}"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("clsact")]
    [InlineData("tcx")]
    public async Task What_a_killed_run_left_is_removed_and_nothing_is_counted_twice(string nextHook)
    {
        using var pod = new Pod().Up();
        using (var killed = await ExporterProcess.StartAsync("--Attach:Hook=clsact"))
        {
            await killed.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
            killed.Kill();
        }
        Assert.Contains("podnet_transmit", Filters(pod, "ingress"), StringComparison.Ordinal);

        using var exporter = await ExporterProcess.StartAsync($"--Attach:Hook={nextHook}");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        Assert.Equal(nextHook == "clsact" ? 1 : 0, Filters(pod, "ingress").Split("podnet_transmit [").Length - 1);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Packets, 100, fromPod: true);

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", "transport=\"udp\"") >= Packets);
        Assert.Equal(Packets, samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "transport=\"udp\""));
        Assert.Equal(0, exporter.Terminate());
        Assert.Empty(Filters(pod, "ingress"));
    }

    [Fact]
    public async Task Two_exporters_at_once_count_the_same_and_leave_each_other_alone()
    {
        using var pod = new Pod().Up();
        using var first = await ExporterProcess.StartAsync("--Attach:Hook=clsact");
        await first.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        using (var second = await ExporterProcess.StartAsync("--Attach:Hook=clsact"))
        {
            await second.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, Packets, 100, fromPod: true);
            foreach (var exporter in (ExporterProcess[])[first, second])
            {
                await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", "transport=\"udp\"") == Packets);
            }
            Assert.Equal(0, second.Terminate());
        }

        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Packets, 100, fromPod: true);
        await first.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", "transport=\"udp\"") == 2 * Packets);
        Assert.Equal(0, first.Terminate());
        Assert.Empty(Filters(pod, "ingress"));
    }

    [Fact]
    public async Task Long_drains_do_not_look_like_somebody_who_ends_the_chain()
    {
        using var pod = new Pod().Up();
        using var exporter = await ExporterProcess.StartAsync("--Drain:Interval=00:00:03", "--Attach:CoverageInterval=00:00:01");

        await ScrapeUnderTrafficAsync(exporter, pod, samples => samples["podnet_exporter_drain_duration_seconds_count"] >= 4);

        Assert.Equal(0, exporter.Terminate());
        Assert.DoesNotContain(exporter.Log, line => line.Contains("do not reach", StringComparison.Ordinal));
    }

    /// <summary>Others' filters with our priority: of our kind with our handle, and of another protocol.</summary>
    [Fact]
    public async Task A_priority_and_a_handle_that_are_taken_are_left_to_who_has_them()
    {
        using var pod = new Pod().Up();
        Shell.Tc($"qdisc add dev {pod.Interface} clsact");
        Shell.Run("tc", "filter", "add", "dev", pod.Interface, "ingress", "protocol", "all", "prio", "10", "handle", "0x706e", "bpf", "bytecode", "1,6 0 0 0,");
        using var exporter = await ExporterProcess.StartAsync("--Attach:Hook=clsact");

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);

        Assert.Equal(0, exporter.Terminate());
        Assert.Contains("0x706e", Filters(pod, "ingress"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_ends_the_chain_before_ours_is_told_once_and_its_end_too()
    {
        using var pod = new Pod().Up();
        using var foreign = new ForeignPrograms();
        using var exporter = await ExporterProcess.StartAsync("--Attach:Hook=tcx", "--Attach:CoverageInterval=00:00:01");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);

        using (foreign.AddLink(pod, atHead: true, endsChain: true))
        {
            await ScrapeUnderTrafficAsync(exporter, pod, samples => samples["podnet_exporter_interfaces{state=\"shadowed\"}"] == 1);
        }
        await ScrapeUnderTrafficAsync(exporter, pod, samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);

        Assert.Equal(0, exporter.Terminate());
        Assert.Single(exporter.Log, line => line.Contains("ends the chain before them", StringComparison.Ordinal));
        Assert.Single(exporter.Log, line => line.Contains("reach the exporter's programs again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Filters_that_somebody_removed_are_attached_again()
    {
        using var pod = new Pod().Up();
        using var exporter = await ExporterProcess.StartAsync("--Attach:Hook=clsact", "--Attach:CoverageInterval=00:00:01");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);

        Shell.Tc($"qdisc del dev {pod.Interface} clsact");
        await ScrapeUnderTrafficAsync(exporter, pod, samples => samples["podnet_exporter_attach_errors_total{reason=\"removed\"}"] == 1);

        await ScrapeUnderTrafficAsync(exporter, pod, _ => Filters(pod, "ingress").Contains("podnet_transmit", StringComparison.Ordinal));
        Assert.Equal(0, exporter.Terminate());
    }

    private static async Task ScrapeUnderTrafficAsync(ExporterProcess exporter, Pod pod, Func<MetricSamples, bool> wanted) =>
        await exporter.ScrapeUntilAsync(samples =>
        {
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 10, 100, fromPod: true);
            return wanted(samples);
        });

    /// <summary>Each foreign program sees each packet: they run as often as there are of them.</summary>
    private static void AssertSeen(ForeignPrograms foreign, Pod pod, int times)
    {
        var before = foreign.Packets;
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Packets, 100, fromPod: true);
        // Another CPU may not be done with some of them.
        SpinWait.SpinUntil(() => foreign.Packets - before >= (ulong)(Packets * times), Silence.Limit);
        var seen = foreign.Packets - before;
        // Neighbour discovery may add a few.
        Assert.InRange(seen, (ulong)(Packets * times), (ulong)((Packets * times) + (50 * times)));
    }

    private static string Filters(Pod pod, string direction) =>
        Shell.Tc(string.Create(CultureInfo.InvariantCulture, $"filter show dev {pod.Interface} {direction}"));
}
