using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Places for pins that cannot be used, or have something else in them; and how everything is removed.</summary>
public sealed class PinDirectoryTests
{
    [Fact]
    public async Task Without_a_BPF_file_system_it_counts_and_says_once_that_nothing_outlives_it()
    {
        using var exporter = await ExporterProcess.StartAsync();
        await CountAsync(exporter);

        Assert.Equal(1, exporter.Log.Count(line => line.Contains("Running without pins", StringComparison.Ordinal) && line.Contains("is in no BPF file system", StringComparison.Ordinal)));
        Assert.Equal(0, exporter.Terminate());
    }

    [Theory]
    [InlineData("cannot be made", "mount -o remount,ro DIR")]
    [InlineData("cannot be written to", "mkdir DIR/podnet", "mount -o remount,ro DIR")]
    [InlineData("can be changed by others", "mkdir DIR/podnet", "chown 12345 DIR/podnet")]
    [InlineData("can be changed by others", "mkdir DIR/podnet", "chmod 0770 DIR/podnet")]
    public async Task A_place_that_cannot_be_trusted_or_written_to_is_not_used(string reason, params string[] preparation)
    {
        using var node = new PinnedNode();
        foreach (var line in preparation)
        {
            var words = line.Replace("DIR", node.MountPoint, StringComparison.Ordinal).Split(' ');
            Shell.Run(words[0], words[1..]);
        }

        using (var exporter = await node.StartAsync())
        {
            await CountAsync(exporter);
            Assert.Contains(exporter.Log, line => line.Contains("Running without pins", StringComparison.Ordinal) && line.Contains(reason, StringComparison.Ordinal));
            Assert.Equal(0, exporter.Terminate());
        }
        Shell.TryRun("mount", "-o", "remount,rw", node.MountPoint);
        Shell.TryRun("rm", "-rf", node.Pins);
    }

    /// <summary>A file system for pins has no limit of its own: what it can be full of is a name that somebody else has.</summary>
    [Theory]
    [InlineData("links", "some only until this process ends")]
    [InlineData("handshake_losses", null)]
    public async Task Where_a_pin_cannot_be_made_it_counts_all_the_same(string taken, string? warning)
    {
        using var node = new PinnedNode();
        using (await node.StartAsync())
        {
        }
        var path = taken == "links" ? Path.Combine(node.Folder, taken) : Directory.GetDirectories(node.Folder, "handshakes_*").Select(set => Path.Combine(set, taken)).Single();
        File.Delete(path);
        File.CreateSymbolicLink(path, "taken");

        using var exporter = await node.StartAsync();

        await CountAsync(exporter);
        if (warning is not null)
        {
            await exporter.WaitForLogAsync(warning);
            Assert.True((await exporter.ScrapeAsync())["podnet_exporter_attach_errors_total{reason=\"pin\"}"] > 0);
        }
    }

    [Fact]
    public async Task A_ledger_of_somebody_else_is_not_read_and_counting_begins_anew()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        await node.CountAndKillAsync(pod, 100);
        var ledger = Directory.GetFiles(node.Folder, "ledger_*_0").Single();
        File.Delete(ledger);
        Shell.Run("bpftool", "map", "create", ledger, "type", "hash", "key", "4", "value", "4", "entries", "1", "name", "others");
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 50, 100, fromPod: true);

        using var exporter = await node.StartAsync();

        // The 100 counted before are gone with the ledger; the 50 that no exporter had read are there, with a few of neighbour discovery.
        await exporter.ScrapeUntilAsync(samples =>
            samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "transport=\"udp\"")
                + samples.Sum("podnet_exporter_unattributed_packets_total", "transmit") is >= 50 and < 70);
    }

    [Fact]
    public async Task What_is_none_of_ours_there_does_no_harm()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        await node.CountAndKillAsync(pod, 100);
        foreach (var part in (string[])["ledger_1_layout", "ledger_2_layout/x", "traffic_1/layout", "handshakes_2/layout", "handshake_links_x/y", "links/x", "others/x", "../others/x", "../0/x"])
        {
            var path = Path.Combine(node.Folder, part);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.CreateSymbolicLink(path, "nonsense");
        }

        using var exporter = await node.StartAsync();

        await PinnedNode.AssertExactAsync(exporter, pod);
        Assert.DoesNotContain(exporter.Log, line => line.Contains("Running without pins", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("tcx", true)]
    [InlineData("tcx", false)]
    [InlineData("clsact", true)]
    [InlineData("clsact", false)]
    public async Task Uninstall_removes_everything_of_ours_and_nothing_else(string hook, bool isRunning)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}");
        using var pod = new Pod();
        using var foreign = new ForeignPrograms();
        foreign.AddFilter(pod, 5);
        foreign.AddLink(pod);
        using var exporter = await node.StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);
        pod.Up();
        if (!isRunning)
        {
            exporter.Kill();
        }
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 10, 100, fromPod: true);
        var seen = foreign.Packets;

        var (exitCode, output, error) = node.Uninstall();

        Assert.True(exitCode == 0, error);
        Assert.Contains("removed", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(node.Pins));
        Assert.DoesNotContain("podnet_", Shell.Tc($"filter show dev {pod.Interface} ingress"), StringComparison.Ordinal);
        Assert.DoesNotContain("podnet_", Shell.Tc($"filter show dev {pod.Interface} egress"), StringComparison.Ordinal);
        Assert.Equal(1, Bpf.Attach.TcxAttacher.CountPrograms(pod.Ifindex, Bpf.Netlink.TcDirection.Ingress));
        Assert.Equal(1, foreign.CountFilters(pod));
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 10, 100, fromPod: true);
        Assert.True(foreign.Packets >= seen + 20);
        if (isRunning)
        {
            var samples = await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_standby{reason=\"uninstalled\"}"] == 1);
            Assert.Null(samples["podnet_exporter_interfaces{state=\"attached\"}"]);
            Assert.Null(samples["podnet_exporter_pinned"]);
            Assert.Null(samples["podnet_exporter_bpf_map_entries{map=\"traffic\"}"]);
            Assert.Equal(0, samples.Sum("podnet_exporter_hook_info"));
            Assert.Empty(exporter.FindAttachments());
            Assert.Equal(0, exporter.Terminate());
        }
        // A second time there is nothing to do.
        Assert.Equal(0, node.Uninstall().ExitCode);
    }

    [Fact]
    public async Task An_exporter_that_is_killed_before_it_has_removed_everything_does_not_keep_it_from_being_removed()
    {
        using var node = new PinnedNode();
        using var exporter = await node.StartAsync();
        Assert.NotEmpty(exporter.FindAttachments());
        Shell.Run("kill", "-STOP", $"{exporter.Id}");

        var removing = Task.Run(node.Uninstall);
        while (!node.IsRemovalAskedFor)
        {
            await Task.Delay(10);
        }
        exporter.Kill();

        Assert.Equal(0, (await removing).ExitCode);
        Assert.False(Directory.Exists(node.Pins));
    }

    [Fact]
    public async Task What_was_asked_of_a_former_exporter_is_not_done_by_the_next()
    {
        using var node = new PinnedNode();
        using (var first = await node.StartAsync())
        {
            first.Kill();
        }
        node.AskForRemoval();

        using var exporter = await node.StartAsync();

        Assert.False(node.IsRemovalAskedFor);
        await CountAsync(exporter);
        Assert.True(Directory.Exists(node.Pins));
    }

    [Fact]
    public async Task Who_waits_while_everything_is_removed_counts_nothing_either()
    {
        using var node = new PinnedNode();
        using var first = await node.StartAsync();
        using var second = await ExporterProcess.StartAsync(node.Options);
        await second.ScrapeUntilAsync(samples => samples["podnet_exporter_standby{reason=\"waiting\"}"] == 1);

        Assert.Equal(0, node.Uninstall().ExitCode);

        await second.ScrapeUntilAsync(samples => samples["podnet_exporter_standby{reason=\"uninstalled\"}"] == 1);
        Assert.Equal(0, first.Terminate());
        Assert.False(Directory.Exists(node.Pins));
        // Who starts later has not been meant.
        using var third = await node.StartAsync();
        await CountAsync(third);
        Assert.Equal(1, (await second.ScrapeAsync())["podnet_exporter_standby{reason=\"uninstalled\"}"]);
        Assert.Equal(0, second.Terminate());
    }

    /// <summary>One pod's packets are counted.</summary>
    private static async Task CountAsync(ExporterProcess exporter)
    {
        using var pod = new Pod();
        await exporter.WaitForAttachedAsync(pod.Interface);
        pod.Up();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
        await PinnedNode.AssertExactAsync(exporter, pod);
    }
}
