using System.Net.Sockets;
using System.Text.RegularExpressions;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Kernel.Tests.Support;

internal sealed partial class PinnedNode
{
    private Dictionary<string, double> _last = [];

    /// <summary>The interface's own counters, and what was counted for the pod.</summary>
    internal static async Task AssertExactAsync(ExporterProcess exporter, params Pod[] pods)
    {
        foreach (var pod in pods)
        {
            await exporter.ScrapeUntilAsync(samples => pod.ReadCounters().IsCountedAs(samples.Traffic(pod.Name)));
        }
        var last = await exporter.ScrapeAsync();
        Assert.Equal(0, last.Sum("podnet_exporter_unattributed_packets_total"));
        Assert.Equal(0, last.Sum("podnet_exporter_lost_packets_total"));
    }

    /// <summary>One comes, counts so many datagrams of a pod that it brings up, and is killed.</summary>
    internal async Task CountAndKillAsync(Pod pod, int datagrams)
    {
        using var exporter = await StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);
        pod.Up();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, datagrams, 100, fromPod: true);
        await AssertExactAsync(exporter, pod);
        exporter.Kill();
    }

    /// <summary>A scrape in which no counter that was there before is less, or gone.</summary>
    internal void AssertOnward(MetricSamples samples)
    {
        var now = samples.All.Where(sample => Lasting().IsMatch(sample.Key)).ToDictionary();
        Assert.All(_last, before =>
        {
            Assert.True(now.TryGetValue(before.Key, out var value), $"{before.Key} is gone");
            Assert.True(value >= before.Value, $"{before.Key} went back from {before.Value:R} to {value:R}");
        });
        _last = now;
    }

    /// <summary>Gives the counters that were seen the names that they have in a later version.</summary>
    internal void RenameSeen(IReadOnlyDictionary<string, string> families) => _last = _last.ToDictionary(
        sample => sample.Key.Split('{') is [var family, .. var labels] && families.TryGetValue(family, out var name) ? string.Join('{', [name, .. labels]) : sample.Key,
        sample => sample.Value);

    /// <summary>
    /// Gives what a stopped exporter has left the layout and the names that versions before the folders of namespaces used.
    /// </summary>
    internal void MakeEarlierVersion(Pod pod)
    {
        Shell.Run("sh", "-c", $"mv {Folder}/* {Pins}/ && rmdir {Folder} && rm -f {Pins}/network && ln -s $(readlink /proc/self/ns/net) {Pins}/network");
        using var client = new TcClient();
        foreach (var direction in (ReadOnlySpan<TcDirection>)[TcDirection.Ingress, TcDirection.Egress])
        {
            foreach (var filter in client.GetFilters(pod.Ifindex, direction).Where(filter => filter.Name.Contains(" pinned ", StringComparison.Ordinal)))
            {
                using var program = new FileDescriptor(Libbpf.bpf_obj_get($"{Pins}/filters/{filter.ProgramId}"));
                var name = $"{filter.Name.Split(' ')[0]}:[{filter.ProgramId}]";
                Assert.Equal(0, client.ReplaceFilter(pod.Ifindex, direction, filter with { Name = name }, (int)program.DangerousGetHandle(), out _));
            }
        }
    }

    [GeneratedRegex("^podnet_(transmit_|receive_|packet_size|tcp_handshake|exporter_(unattributed|excluded|folded|retired|lost|missed_packets|unattached_packets)_)")]
    private static partial Regex Lasting();
}
