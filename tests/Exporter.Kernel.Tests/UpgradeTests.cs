using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>
/// An earlier binary, which PODNET_EARLIER names, and this one after it, before it and after it again: on the same pins, with the same file of
/// options once docs/upgrading.md was followed. `make upgrade-test` builds the earlier one.
/// </summary>
public sealed class UpgradeTests(ITestOutputHelper output) : IDisposable
{
    private const string Name = "options.json";
    private const int SigKill = 9;

    /// <summary>The live options of an earlier chart's ConfigMap, with every option that has another name.</summary>
    private const string EarlierOptions = """
        {
          "Attach": {
            "CheckInterval": "00:00:01"
          },
          "Handshake": {"MaxLate": 32768, "Buckets": "0.0001;0.001;0.01;0.1;1"},
          "Identity": {"Wait": "00:00:05"},
          "Metrics:Sizes": "pod"
        }
        """;

    private readonly ConfigMapVolume _volume = new();

    private string File => _volume.PathOf(Name);

    public void Dispose() => _volume.Dispose();

    [Theory]
    [InlineData("tcx", true)]
    [InlineData("tcx", false)]
    [InlineData("clsact", true)]
    [InlineData("clsact", false)]
    public async Task After_an_earlier_version_under_load_every_packet_is_counted_once_and_no_counter_goes_back(string hook, bool isKilled)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}", $"--Options:File={File}");
        using var one = new Pod();
        using var other = new Pod();
        using (var earlier = await StartEarlierAsync(node))
        {
            await BringUpAsync(earlier, one, other);
            using var load = new SteadyLoad(one, other);
            await CountSomeAsync(earlier, node, one, other);
            End(earlier, isKilled);
        }
        node.RenameSeen(UpgradeNotes.Metrics);
        Publish(UpgradeNotes.RenameOptions(EarlierOptions));

        using var now = await UpgradeUnderLoadAsync(node, isKilled ? [7, 20, 40, 70, 150] : [], one, other);

        await PinnedNode.AssertExactAsync(now, one, other);
        node.AssertOnward(await now.ScrapeAsync());
        Assert.True(one.ReadCounters().TransmittedPackets > 3000);
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task Connections_before_between_and_after_the_two_versions_are_each_one_handshake_of_client_and_server(string hook)
    {
        const int Each = 20;
        using var node = new PinnedNode($"--Attach:Hook={hook}", $"--Options:File={File}");
        using var pod = new Pod();
        using (var earlier = await StartEarlierAsync(node))
        {
            await BringUpAsync(earlier, pod);
            Connect(pod, Each);
            await earlier.ScrapeUntilAsync(samples => Handshakes(samples, pod) == Each);
            node.AssertOnward(await earlier.ScrapeAsync());
            earlier.Kill();
        }
        Connect(pod, Each);
        node.RenameSeen(UpgradeNotes.Metrics);
        Publish(UpgradeNotes.RenameOptions(EarlierOptions));

        using var now = await node.StartAsync();

        Connect(pod, Each);
        node.AssertOnward(await now.ScrapeUntilAsync(samples => Handshakes(samples, pod) == 3 * Each));
        await PinnedNode.AssertExactAsync(now, pod);
    }

    /// <summary>What one version has counted is not added to the other's, as docs/upgrading.md says; together they have all packets.</summary>
    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task Rolled_back_the_earlier_version_counts_from_zero_and_the_later_one_continues_with_its_own_totals(string hook)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}", $"--Options:File={File}");
        using var pod = new Pod();
        using (var earlier = await StartEarlierAsync(node))
        {
            await BringUpAsync(earlier, pod);
            using var load = new SteadyLoad(pod);
            await CountSomeAsync(earlier, node, pod);
            End(earlier, isKilled: false);
        }
        node.RenameSeen(UpgradeNotes.Metrics);
        Publish(UpgradeNotes.RenameOptions(EarlierOptions));
        using (var now = await node.StartAsync())
        {
            using (new SteadyLoad(pod))
            {
                await CountSomeAsync(now, node, pod);
            }
            await PinnedNode.AssertExactAsync(now, pod);
            node.AssertOnward(await now.ScrapeAsync());
            End(now, isKilled: false);
        }
        var before = Counted(pod);

        ulong between;
        using (new SteadyLoad(pod))
        {
            using var back = await StartEarlierAsync(node);
            Assert.Contains(back.Log, line => line.Contains("warn:", StringComparison.Ordinal) && line.Contains("later version", StringComparison.Ordinal));
            await back.ScrapeUntilAsync(samples => Counted(samples, pod) > 1000);
            back.Kill();
        }
        using (var back = await StartEarlierAsync(node))
        {
            await back.ScrapeUntilAsync(samples => before + Counted(samples, pod) + Unattributed(samples) == Counted(pod));
            between = Counted(pod) - before;
            End(back, isKilled: false);
        }

        Publish(UpgradeNotes.RenameOptions(EarlierOptions));
        using var again = await UpgradeUnderLoadAsync(node, [], pod);

        node.AssertOnward(await again.ScrapeUntilAsync(samples => Counted(samples, pod) + between == Counted(pod)));
        var last = await again.ScrapeAsync();
        Assert.Equal(0, last.Sum("podnet_exporter_lost_packets_total"));
        Assert.Equal(0ul, Unattributed(last));
        output.WriteLine($"{between} of {Counted(pod)} packets while it was rolled back");
    }

    [Theory]
    [InlineData("check")]
    [InlineData("")]
    public void With_the_earlier_file_of_options_it_ends_with_exit_code_2_and_each_new_name(string command)
    {
        Publish(EarlierOptions);

        var (exitCode, written, error) = ExporterProcess.Run([.. new[] { command }.Where(word => word.Length > 0), "--Bpf:PinDirectory=", $"--Options:File={File}"]);

        Assert.Equal(2, exitCode);
        Assert.All(UpgradeNotes.Options, option => Assert.Contains($"{option.Key}: this option is called {option.Value} now", written + error, StringComparison.Ordinal));
    }

    /// <summary>A running exporter to which the kubelet brings the earlier file.</summary>
    [Fact]
    public async Task An_earlier_file_of_options_that_comes_later_leaves_the_options_that_are_in_force()
    {
        Publish(UpgradeNotes.RenameOptions(EarlierOptions));
        using var node = new PinnedNode($"--Options:File={File}");
        using var exporter = await node.StartAsync();

        Publish(EarlierOptions);

        await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_exporter_config_reload_failures_total") > 0);
        Assert.Equal(0, exporter.Terminate());
        Assert.All(UpgradeNotes.Options, option => Assert.Contains(exporter.Log, line => line.Contains($"{option.Key}: this option is called {option.Value} now", StringComparison.Ordinal)));
    }

    /// <summary>Starts this version while the pods send, at last; before that, it is killed at these calls into the kernel.</summary>
    private static async Task<ExporterProcess> UpgradeUnderLoadAsync(PinnedNode node, int[] kills, params Pod[] pods)
    {
        using var load = new SteadyLoad(pods);
        foreach (var call in kills)
        {
            using var killed = ExporterProcess.LaunchInstead(
                ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=bpf", "-e", string.Create(CultureInfo.InvariantCulture, $"inject=bpf:signal=SIGKILL:when={call}"), ExporterProcess.Binary],
                node.Options);
            Assert.Equal(128 + SigKill, killed.WaitForExit());
        }
        var exporter = await node.StartAsync();
        await CountSomeAsync(exporter, node, pods);
        return exporter;
    }

    private static async Task BringUpAsync(ExporterProcess exporter, params Pod[] pods)
    {
        foreach (var pod in pods)
        {
            await exporter.WaitForAttachedAsync(pod.Interface);
            pod.Up();
        }
    }

    /// <summary>Waits until the load has been counted for a while, and no counter went back meanwhile.</summary>
    private static async Task CountSomeAsync(ExporterProcess exporter, PinnedNode node, params Pod[] pods)
    {
        foreach (var pod in pods)
        {
            var first = Counted(await exporter.ScrapeAsync(), pod);
            await exporter.ScrapeUntilAsync(samples => Counted(samples, pod) > first + 1000 && Handshakes(samples, pod) > 2);
            node.AssertOnward(await exporter.ScrapeAsync());
        }
    }

    private static void End(ExporterProcess exporter, bool isKilled)
    {
        if (isKilled)
        {
            exporter.Kill();
        }
        else
        {
            Assert.Equal(0, exporter.Terminate());
        }
    }

    private static void Connect(Pod pod, int connections)
    {
        for (var i = 0; i < connections; i++)
        {
            TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1000);
        }
    }

    /// <summary>Those that the pod's servers have completed.</summary>
    private static double Handshakes(MetricSamples samples, Pod pod) =>
        samples.Sum("podnet_tcp_handshake_duration_seconds_count", $"pod=\"{pod.Name}\"", "role=\"server\"");

    private static ulong Counted(MetricSamples samples, Pod pod) => samples.Traffic(pod.Name) is var counted ? counted.TransmittedPackets + counted.ReceivedPackets : 0;

    /// <summary>The earlier version has no record of whose the interfaces are, so the packets from before its first round have no pod.</summary>
    private static ulong Unattributed(MetricSamples samples) => (ulong)samples.Sum("podnet_exporter_unattributed_packets_total");

    private static ulong Counted(Pod pod) => pod.ReadCounters() is var counted ? counted.TransmittedPackets + counted.ReceivedPackets + counted.ReceiveDropped : 0;

    private Task<ExporterProcess> StartEarlierAsync(PinnedNode node)
    {
        var binary = Environment.GetEnvironmentVariable("PODNET_EARLIER");
        Assert.SkipWhen(string.IsNullOrEmpty(binary), "PODNET_EARLIER names no earlier binary: make upgrade-test");
        Publish(EarlierOptions);
        return ExporterProcess.StartBehindAsync([binary!], node.Options);
    }

    private void Publish(string options) => _volume.Publish(Name, Encoding.UTF8.GetBytes(options));
}
