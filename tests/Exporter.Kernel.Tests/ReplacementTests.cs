using System.Net.Sockets;
using System.Text.Json;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Other BPF objects take the place of those that run, or are refused, under load: no packet is missed.</summary>
public sealed class ReplacementTests : IDisposable
{
    private const string Traffic = "pod_traffic";
    private const string Handshakes = "tcp_handshake";

    private readonly BpfVariants _variants = new();

    public void Dispose() => _variants.Dispose();

    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task Programs_are_replaced_and_refused_under_load_without_a_packet_missed(string hook)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}", $"--Bpf:ObjectDirectory={_variants.Target}");
        using var one = new Pod();
        using var other = new Pod();
        using var exporter = await node.StartAsync();
        await exporter.WaitForAttachedAsync(one.Interface);
        await exporter.WaitForAttachedAsync(other.Interface);
        one.Up();
        other.Up();
        var first = await ProgramsAsync(exporter);
        var good = BpfVariants.Compile("tc", Traffic, ["-mcpu=v2"]);
        using (new SteadyLoad(one, other))
        {
            _variants.Publish(Traffic, good);
            await ReplacementsAsync(exporter, "replaced", 1);
            foreach (var (bad, reason) in Refused())
            {
                _variants.Publish(Traffic, bad);
                var entry = await RefusedAsync(exporter, reason);
                await exporter.WaitForLogAsync("keeps running");
                Assert.Contains(exporter.Log, line => line.Contains("fail:", StringComparison.Ordinal) && line.Contains("keeps running", StringComparison.Ordinal));
                Assert.EndsWith($"{Traffic}.bpf.o", entry.GetProperty("source").GetString(), StringComparison.Ordinal);
            }
            node.AssertOnward(await exporter.ScrapeAsync());
            _variants.Publish(Traffic, BpfVariants.Compile("tc", Traffic, ["-O1"]));
            await ReplacementsAsync(exporter, "replaced", 2);
        }
        await PinnedNode.AssertExactAsync(exporter, one, other);
        var last = await ProgramsAsync(exporter);
        Assert.All(first, tag => Assert.DoesNotContain(tag, last));
        Assert.Equal(7, (await exporter.ScrapeAsync())["podnet_exporter_bpf_replacements_total{object=\"pod_traffic\",result=\"refused\"}"]);
    }

    /// <summary>What an upgraded binary does: it finds other programs attached than those that it has.</summary>
    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task The_programs_of_another_version_are_taken_over_with_their_counts(string hook)
    {
        using var node = new PinnedNode($"--Attach:Hook={hook}");
        using var pod = new Pod();
        _variants.Publish(Traffic, BpfVariants.Compile("tc", Traffic, ["-mcpu=v2"]));
        using (var former = await node.StartAsync($"--Bpf:ObjectDirectory={_variants.Target}"))
        {
            await former.WaitForAttachedAsync(pod.Interface);
            await ReplacementsAsync(former, "replaced", 1);
            pod.Up();
            former.Kill();
        }
        using (new SteadyLoad(pod))
        {
            using var next = await node.StartAsync();
            await next.ScrapeUntilAsync(samples => samples.HasPod(pod.Name));
            next.Kill();
        }
        using var last = await node.StartAsync();
        await PinnedNode.AssertExactAsync(last, pod);
    }

    [Fact]
    public async Task A_directory_that_is_changed_by_a_symbolic_link_is_seen()
    {
        var (old, next) = (Path.Combine(_variants.Target, "..one"), Path.Combine(_variants.Target, "..two"));
        Directory.CreateDirectory(old);
        Directory.CreateDirectory(next);
        await File.WriteAllBytesAsync(Path.Combine(next, $"{Traffic}.bpf.o"), BpfVariants.Compile("tc", Traffic, ["-mcpu=v2"]));
        File.CreateSymbolicLink(Path.Combine(_variants.Target, "..data"), "..one");
        File.CreateSymbolicLink(Path.Combine(_variants.Target, $"{Traffic}.bpf.o"), $"..data/{Traffic}.bpf.o");
        using var exporter = await ExporterProcess.StartAsync($"--Bpf:ObjectDirectory={_variants.Target}");

        // As the kubelet does with a ConfigMap.
        File.CreateSymbolicLink(Path.Combine(_variants.Target, "..data_tmp"), "..two");
        Shell.Run("mv", "-T", Path.Combine(_variants.Target, "..data_tmp"), Path.Combine(_variants.Target, "..data"));

        await ReplacementsAsync(exporter, "replaced", 1);
    }

    [Fact]
    public async Task Handshakes_go_on_with_other_programs()
    {
        using var node = new PinnedNode($"--Bpf:ObjectDirectory={_variants.Target}");
        using var pod = new Pod();
        using var exporter = await node.StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);
        pod.Up();
        const int Connections = 20;
        for (var i = 0; i < Connections; i++)
        {
            TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1000);
        }
        _variants.Publish(Handshakes, BpfVariants.Compile("kprobe", Handshakes, ["-mcpu=v2"]));
        await ReplacementsAsync(exporter, "replaced", 1, Handshakes);
        for (var i = 0; i < Connections; i++)
        {
            TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1000);
        }
        await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_tcp_handshake_duration_seconds_count", $"pod=\"{pod.Name}\"", "role=\"server\"") == 2 * Connections);

        // Nothing is seen by a program that looks for other states.
        _variants.Publish(Handshakes, BpfVariants.Compile("kprobe", Handshakes, null, ("#define TCP_SYN_SENT	2", "#define TCP_SYN_SENT	9")));
        await ReplacementsAsync(exporter, "refused", 1, Handshakes);
        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1000);
        await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_tcp_handshake_duration_seconds_count", $"pod=\"{pod.Name}\"", "role=\"server\"") == (2 * Connections) + 1);
    }

    [Fact]
    public async Task An_object_that_others_could_have_written_or_that_is_not_on_the_list_is_refused()
    {
        var good = BpfVariants.Compile("tc", Traffic, ["-mcpu=v2"]);
        var hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(good));
        using var exporter = await ExporterProcess.StartAsync($"--Bpf:ObjectDirectory={_variants.Target}", $"--Bpf:ObjectHashes={hash}");

        _variants.Publish(Traffic, BpfVariants.Compile("tc", Traffic, ["-O1"]));
        await RefusedAsync(exporter, "is not in Bpf:ObjectHashes");
        File.SetUnixFileMode(_variants.Target, (UnixFileMode)0b111_111_111);
        _variants.Publish(Traffic, good);
        await RefusedAsync(exporter, "can be changed by others");
        File.SetUnixFileMode(_variants.Target, (UnixFileMode)0b111_101_101);
        _variants.Publish(Traffic, BpfVariants.Compile("tc", Traffic, ["-O1"]));
        await RefusedAsync(exporter, "is not in Bpf:ObjectHashes");
        _variants.Publish(Traffic, good);
        await ReplacementsAsync(exporter, "replaced", 1);
    }

    [Fact]
    public async Task Objects_of_a_ConfigMap_are_taken_as_the_kubelet_mounts_it()
    {
        using var volume = new ConfigMapVolume();
        volume.Publish(Traffic + ".bpf.o", BpfVariants.Compile("tc", Traffic, ["-mcpu=v2"]));
        using var exporter = await ExporterProcess.StartAsync($"--Bpf:ObjectDirectory={volume.MountPoint}");
        await ReplacementsAsync(exporter, "replaced", 1);

        volume.Publish(Traffic + ".bpf.o", BpfVariants.Compile("tc", Traffic, ["-O1"]));
        await ReplacementsAsync(exporter, "replaced", 2);

        Assert.Equal(0, (await exporter.ScrapeAsync())["podnet_exporter_bpf_replacements_total{object=\"pod_traffic\",result=\"refused\"}"]);
    }

    private static async Task<IReadOnlyList<string>> ProgramsAsync(ExporterProcess exporter) =>
        [.. (await ObjectAsync(exporter)).GetProperty("programs").EnumerateArray().Select(program => program.GetProperty("tag").GetString()!)];

    private static async Task<JsonElement> ObjectAsync(ExporterProcess exporter)
    {
        var document = JsonElement.Parse(await exporter.GetAsync("/api/v1/bpf"));
        return document.GetProperty("objects").EnumerateArray().First(one => one.GetProperty("name").GetString() == Traffic);
    }

    private static Task<MetricSamples> ReplacementsAsync(ExporterProcess exporter, string result, int count, string name = Traffic) =>
        exporter.ScrapeUntilAsync(samples => samples[$"podnet_exporter_bpf_replacements_total{{object=\"{name}\",result=\"{result}\"}}"] == count);

    private static async Task<JsonElement> RefusedAsync(ExporterProcess exporter, string reason)
    {
        JsonElement entry = default;
        await exporter.ScrapeUntilAsync(_ =>
        {
            entry = ObjectAsync(exporter).GetAwaiter().GetResult();
            return entry.TryGetProperty("refusal", out var refusal) && refusal.GetString()!.Contains(reason, StringComparison.Ordinal);
        });
        return entry;
    }

    private static IEnumerable<(byte[] Object, string Reason)> Refused()
    {
        var good = BpfVariants.Compile("tc", Traffic);
        yield return (good[..(good.Length / 2)], "Cannot open the BPF object");
        yield return ([.. "no object at all"u8], "not a proper ELF");
        yield return (BpfVariants.Compile("tc", Traffic, ["-target", "bpfeb"]), "endian");
        yield return (File.ReadAllBytes("/bin/true"), "not a valid eBPF object");
        // The verifier's own words.
        yield return (BpfVariants.Compile("tc", Traffic, null, ("return count_packet(skb, true);", "return *(volatile int *)(long)skb->len;")), "invalid mem access");
        yield return (BpfVariants.Compile("tc", Traffic, null, ("#define TCX_NEXT (-1)", "#define TCX_NEXT 2")), "only -1 lets it pass");
        yield return (BpfVariants.Compile("tc", Traffic, null, ("	__u64 segments;\n	__u64 bytes;\n};", "	__u64 segments;\n	__u64 bytes;\n	__u64 more;\n};")), "values of");
    }
}
