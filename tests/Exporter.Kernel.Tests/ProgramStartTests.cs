using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>How the binary starts, and how it says that it cannot.</summary>
public sealed class ProgramStartTests : IDisposable
{
    private const string AllCapabilities = "+bpf,+perfmon,+net_admin";

    /// <summary>A copy of the binary that every user can reach, wherever the sources are.</summary>
    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-public-").FullName;

    private string PublicBinary
    {
        get
        {
            var copy = Path.Combine(_directory, "podnet-exporter");
            File.SetUnixFileMode(_directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
            File.Copy(ExporterProcess.Binary, copy, overwrite: true);
            return copy;
        }
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Every_wrong_option_is_named_and_the_exit_code_is_2()
    {
        var (exitCode, output, error) = ExporterProcess.Run(
            "--Drain:Interval=00:00:00.05", "--Attach:Include=(", "--Attach:Hook=xdp", "--Nonsense:Key=1");

        Assert.Equal(2, exitCode);
        Assert.Empty(output);
        foreach (var key in (string[])["Drain:Interval", "Attach:Include", "Attach:Hook", "Nonsense:Key"])
        {
            Assert.Single(error.Split('\n'), line => line.StartsWith(key + ":", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void An_unknown_command_is_named_and_the_exit_code_is_2()
    {
        var (exitCode, _, error) = ExporterProcess.Run("frobnicate");

        Assert.Equal(2, exitCode);
        Assert.Contains("frobnicate", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Kubernetes:Kubeconfig", "--Kubernetes:Kubeconfig=/nonexistent", "--Kubernetes:NodeName=worker-1")]
    [InlineData("Kubernetes:Kubeconfig", "--Kubernetes:Kubeconfig=/etc/hostname", "--Kubernetes:NodeName=worker-1")]
    [InlineData("Kubernetes:Kubeconfig", "--Kubernetes:Kubeconfig=/dev/null", "--Kubernetes:NodeName=worker-1")]
    [InlineData("Kubernetes:Kubeconfig", "--Identity:Source=kubernetes", "--Kubernetes:NodeName=worker-1")]
    [InlineData("Kubernetes:NodeName", "--Kubernetes:Kubeconfig=/nonexistent")]
    public void What_is_wrong_with_the_way_to_the_API_server_is_named_and_the_exit_code_is_2(string key, params string[] options)
    {
        var (exitCode, _, error) = ExporterProcess.Run(options);

        Assert.Equal(2, exitCode);
        Assert.Contains(key, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task A_taken_port_is_one_line_and_leaves_the_one_who_has_it_counting()
    {
        using var pod = new Pod().Up();
        using var first = await ExporterProcess.StartAsync("--Attach:Hook=clsact");
        await first.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);

        var (exitCode, output, error) = ExporterProcess.Run($"--Server:Urls=http://127.0.0.1:{first.Port}", "--Attach:Hook=clsact");

        Assert.Equal(1, exitCode);
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains($"127.0.0.1:{first.Port}", line, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 100, 100, fromPod: true);
        await first.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", "transport=\"udp\"") == 100);
        Assert.Equal(0, first.Terminate());
        Assert.Empty(Shell.Tc($"filter show dev {pod.Interface} ingress"));
    }

    [Theory]
    [InlineData("http://203.0.113.1:9969")]
    [InlineData("http://127.0.0.1:80")]
    public void An_address_that_cannot_be_listened_on_is_one_line_and_the_exit_code_is_1(string url)
    {
        var (exitCode, output, error) = Shell.TryRun("setpriv", [.. Unprivileged(AllCapabilities), PublicBinary, $"--Server:Urls={url}"]);

        Assert.Equal(1, exitCode);
        Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_privileges_all_three_capabilities_are_named_and_the_exit_code_is_3()
    {
        var (exitCode, _, error) = Shell.TryRun("setpriv", [.. Unprivileged(""), PublicBinary, "--Server:Urls=http://127.0.0.1:0"]);

        Assert.Equal(3, exitCode);
        Assert.Contains("CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF", error, StringComparison.Ordinal);
        Assert.Contains("securityContext", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("+perfmon,+net_admin", "CAP_BPF")]
    [InlineData("+bpf,+net_admin", "CAP_PERFMON")]
    [InlineData("+bpf,+perfmon", "CAP_NET_ADMIN")]
    public void A_missing_capability_is_named_alone(string capabilities, string missing)
    {
        foreach (var command in (string[])["run", "check"])
        {
            var (exitCode, output, error) = Shell.TryRun("setpriv", [.. Unprivileged(capabilities), PublicBinary, command]);

            Assert.Equal(3, exitCode);
            var line = Assert.Single((output + error).Split('\n'), line => line.StartsWith("Missing:", StringComparison.Ordinal));
            Assert.Contains(missing, line, StringComparison.Ordinal);
            Assert.DoesNotContain(",", line.Split('.')[0], StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Without_the_capability_for_the_kernel_s_statistics_it_says_so_and_goes_on()
    {
        using var exporter = await ExporterProcess.StartBehindAsync(["setpriv", .. Unprivileged(AllCapabilities), PublicBinary], "--Bpf:RunStatistics=true");

        var samples = await exporter.ScrapeAsync();

        Assert.Contains(exporter.Log, line => line.Contains("warn", StringComparison.Ordinal) && line.Contains("CAP_SYS_ADMIN", StringComparison.Ordinal));
        Assert.Equal(1, samples["podnet_exporter_hook_info{kind=\"handshake\",hook=\"tracepoint\"}"]);
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("clsact")]
    public async Task Another_user_with_exactly_three_capabilities_counts(string hook)
    {
        using var exporter = await ExporterProcess.StartBehindAsync(["setpriv", .. Unprivileged(AllCapabilities), PublicBinary], $"--Attach:Hook={hook}");
        Assert.Contains("Uid:\t65534\t", await File.ReadAllTextAsync($"/proc/{exporter.Id}/status"), StringComparison.Ordinal);
        using var pod = await exporter.AddPodAsync();

        Shell.Run("ping", "-q", "-c", "3", "-i", "0.01", pod.Address.ToString());

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "icmp") >= 3);
        Assert.Equal(1, samples[$"podnet_exporter_hook_info{{kind=\"traffic\",hook=\"{hook}\"}}"]);
        Assert.Equal(0, exporter.Terminate());
    }

    [Fact]
    public void Without_BTF_it_says_so_and_the_exit_code_is_3()
    {
        var (exitCode, _, error) = Shell.TryRun(
            "unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /sys/kernel/btf && exec \"$0\" run", ExporterProcess.Binary);

        Assert.Equal(3, exitCode);
        Assert.StartsWith("Missing: /sys/kernel/btf/vmlinux", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_says_what_the_kernel_offers_and_what_is_used()
    {
        var (exitCode, output, _) = ExporterProcess.Run("check", "--Attach:Hook=clsact");

        Assert.Equal(0, exitCode);
        Assert.Matches("(?m)^BTF +yes$", output);
        Assert.Matches("(?m)^programs +accepted by the kernel$", output);
        Assert.Matches("(?m)^hook +clsact will be used$", output);
        Assert.Matches("(?m)^series +30000 sample lines, room for 254 pods that use everything, or 391 like the demo's$", output);
    }

    [Fact]
    public async Task It_answers_health_readiness_and_a_page_with_links()
    {
        using var exporter = await ExporterProcess.StartAsync();

        Assert.Equal("ok\n", await exporter.GetAsync("/healthz"));
        Assert.Equal("ok\n", await exporter.GetAsync("/readyz"));
        Assert.Contains("href=\"metrics\"", await exporter.GetAsync("/"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await exporter.RequestAsync("/nothing")).StatusCode);
        Assert.Equal(0, exporter.Terminate());
    }

    [Fact]
    public async Task Options_come_from_the_environment_and_the_command_line_wins()
    {
        using var exporter = await ExporterProcess.StartBehindAsync(
            ["env", "PODNET__Attach__Hook=clsact", "PODNET__Attach__Include=^nothing$", ExporterProcess.Binary], "--Attach:Include=^pntveth");
        using var pod = new Pod();

        await exporter.GetPodsUntilAsync(pods => pods.Has(pod.Name));

        Assert.Equal(1, (await exporter.ScrapeAsync())["podnet_exporter_hook_info{kind=\"traffic\",hook=\"clsact\"}"]);
    }

    /// <summary>A user that owns nothing, with just these capabilities, also over exec.</summary>
    private static string[] Unprivileged(string capabilities) =>
    [
        "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
        $"--inh-caps=-all{(capabilities.Length > 0 ? "," + capabilities : "")}",
        $"--ambient-caps=-all{(capabilities.Length > 0 ? "," + capabilities : "")}",
        $"--bounding-set=-all{(capabilities.Length > 0 ? "," + capabilities : "")}",
    ];
}
