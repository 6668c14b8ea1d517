using System.Globalization;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Somebody removes what an exporter has pinned, while it counts.</summary>
public sealed class RemovedPinsTests
{
    private const string Failures = "podnet_exporter_reconcile_errors_total";

    [Theory]
    [InlineData("tcx", "links")]
    [InlineData("clsact", "filters")]
    public async Task Pins_that_are_removed_are_made_again_and_keep_no_new_pod_from_being_counted(string hook, string part)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}", "--Attach:CoverageInterval=00:00:01");
        using var exporter = await node.StartAsync();
        var first = await exporter.AddPodAsync();
        using var second = await exporter.AddPodAsync();
        var directory = Path.Combine(node.Folder, part);

        Directory.Delete(directory, recursive: true);
        first.Dispose();

        using var third = await exporter.AddPodAsync();
        await PinnedNode.AssertExactAsync(exporter, second, third);
        if (hook == "tcx")
        {
            // With clsact all interfaces share two pins, which the third's attachment makes again if no check has done so before.
            await exporter.WaitForLogAsync("pins again that another process had removed");
        }
        var needed = hook == "tcx" ? (string[])[.. Links(second), .. Links(third)] : [];
        Assert.Empty(needed.Except(Directory.GetFileSystemEntries(directory).Select(Path.GetFileName)));
        Assert.NotEmpty(Directory.GetFileSystemEntries(directory));
        Assert.Equal(0, (await exporter.ScrapeAsync())[Failures]);
    }

    [Fact]
    public async Task Without_its_directory_it_counts_on_says_so_once_and_leaves_nothing_attached()
    {
        using var node = new PinnedNode("--Attach:CoverageInterval=00:00:01");
        using var exporter = await node.StartAsync();
        var first = await exporter.AddPodAsync();
        using var second = await exporter.AddPodAsync();

        Directory.Delete(node.Pins, recursive: true);
        first.Dispose();

        using var third = await exporter.AddPodAsync();
        await AssertGivenUpAsync(exporter, second, third);
    }

    [Fact]
    public async Task With_another_file_system_over_its_directory_it_counts_on_says_so_once_and_leaves_nothing_attached()
    {
        using var node = new PinnedNode("--Attach:CoverageInterval=00:00:01");
        using var exporter = await node.StartAsync();
        var first = await exporter.AddPodAsync();
        using var second = await exporter.AddPodAsync();
        Shell.Run("mount", "-t", "bpf", "bpf", node.MountPoint);
        try
        {
            first.Dispose();

            using var third = await exporter.AddPodAsync();
            await AssertGivenUpAsync(exporter, second, third);
            Assert.False(Directory.Exists(node.Pins));
        }
        finally
        {
            exporter.Kill();
            Shell.Run("umount", node.MountPoint);
        }
    }

    private static async Task AssertGivenUpAsync(ExporterProcess exporter, params Pod[] pods)
    {
        await PinnedNode.AssertExactAsync(exporter, pods);
        var samples = await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_pinned"] == 0);
        Assert.Equal(0, samples[Failures]);
        await exporter.WaitForLogAsync("the next starts from zero");
        Assert.Single(exporter.Log, line => line.Contains("the next starts from zero", StringComparison.Ordinal));
        Assert.Equal(0, exporter.Terminate());
        Assert.All(pods, pod => Assert.Equal(0, Exporter.Bpf.Attach.TcxAttacher.CountPrograms(pod.Ifindex, Exporter.Bpf.Netlink.TcDirection.Ingress)));
    }

    private static string[] Links(Pod pod) =>
        [.. ((string[])["ingress", "egress"]).Select(direction => $"{pod.Ifindex.ToString(CultureInfo.InvariantCulture)}_{direction}")];
}
