using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Handshakes with the real binary, from the socket to the scrape.</summary>
public sealed class HandshakeProgramTests
{
    private const string Host = "namespace=\"__host__\",pod=\"__host__\"";

    [Fact]
    public async Task Handshakes_are_on_the_series_of_their_pods_and_of_the_host()
    {
        using var pod = new Pod().Up();
        using var exporter = await ExporterProcess.StartAsync();
        using var listener = pod.Listen();
        using var socket = TcpSockets.Open();

        socket.Connect(pod.Address, listener.Port());
        using var accepted = listener.Accept();
        using var hostListener = TcpSockets.Listen(null);
        using var outward = TcpSockets.Open(pod);
        outward.Connect(pod.HostAddress, hostListener.Port());
        Assert.Throws<SocketException>(() => TcpSockets.Open().Connect(pod.Address, 9));

        string Count(string labels, string role) => $"podnet_tcp_handshake_duration_seconds_count{{{labels},role=\"{role}\"}}";
        string Sum(string labels, string role) => $"podnet_tcp_handshake_duration_seconds_sum{{{labels},role=\"{role}\"}}";
        var inPod = $"namespace=\"standalone\",pod=\"{pod.Name}\"";
        // Each may be in another drain.
        var samples = await exporter.ScrapeUntilAsync(samples =>
            samples[Count(Host, "client")] == 1 && samples[Count(Host, "server")] == 1 && samples[Count(inPod, "client")] == 1 && samples[Count(inPod, "server")] == 1
            && samples.Sum("podnet_tcp_handshake_failures_total") > 0);
        Assert.Equal(socket.RoundTrip(), Math.Round(samples[Sum(Host, "client")]!.Value * 1e6, 3));
        Assert.Equal(accepted.RoundTrip(), Math.Round(samples[Sum(inPod, "server")]!.Value * 1e6, 3));
        Assert.Equal(1, samples[$"podnet_tcp_handshake_failures_total{{{Host},role=\"client\",reason=\"refused\"}}"]);
        Assert.Equal(0, samples.Sum("podnet_exporter_lost_handshakes_total") + samples.Sum("podnet_exporter_unattributed_handshakes_total"));
        // The host has no interface whose traffic is counted.
        Assert.Equal(0, samples.Sum("podnet_packet_size_bytes_count", "pod=\"__host__\""));
    }

    [Fact]
    public async Task A_request_that_the_client_never_completes_times_out_at_the_server()
    {
        using var pod = new Pod().Up();
        using var exporter = await ExporterProcess.StartAsync("--Handshake:Hook=tracepoint");
        using var listener = pod.Listen();
        pod.Namespace.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/tcp_synack_retries", "1");
            return 0;
        });
        // The client's SYN comes through, and nothing else does.
        pod.Namespace.Exec("nft", "add table inet pnt; add chain inet pnt c { type filter hook input priority 0; }; add rule inet pnt c tcp flags & (syn|ack) == ack drop");
        using var socket = TcpSockets.Open();
        socket.Connect(pod.Address, listener.Port());

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_tcp_handshake_failures_total") > 0);

        Assert.Equal(1, samples[$"podnet_tcp_handshake_failures_total{{namespace=\"standalone\",pod=\"{pod.Name}\",role=\"server\",reason=\"timed_out\"}}"]);
        Assert.Equal(1, samples[$"podnet_tcp_handshake_retransmits_total{{namespace=\"standalone\",pod=\"{pod.Name}\",role=\"server\"}}"]);
        samples = await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_bpf_map_entries{map=\"handshakes_late\"}"] == 0);
        Assert.Equal(0, samples.Sum("podnet_exporter_lost_handshakes_total"));
    }

    /// <summary>What becomes of what needs kprobes on this machine.</summary>
    private static readonly string Kprobe = KernelSupport.HasKprobes ? "kprobe" : "unavailable";

    public static TheoryData<string, string, string> Hooks => new()
    {
        { "auto", "tracepoint", Kprobe },
        { "tracepoint", "tracepoint", "off" },
        { "kprobe", Kprobe, Kprobe },
        { "off", "off", "off" },
    };

    [Theory]
    [MemberData(nameof(Hooks))]
    public async Task The_hook_is_told_and_traffic_is_counted_whatever_it_is(string option, string expected, string requests)
    {
        using var pod = new Pod();
        using var exporter = await ExporterProcess.StartAsync($"--Handshake:Hook={option}");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        pod.Up();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 10, 100, fromPod: true);

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_transmit_packets_total", $"pod=\"{pod.Name}\"", "transport=\"udp\"") == 10);

        Assert.Equal(1, samples[$"podnet_exporter_hook_info{{kind=\"handshake\",hook=\"{expected}\"}}"]);
        Assert.Equal(1, samples[$"podnet_exporter_hook_info{{kind=\"handshake_requests\",hook=\"{requests}\"}}"]);
        Assert.Equal(0, exporter.Terminate());
        Assert.Equal(expected == "unavailable" ? 1 : 0, exporter.Log.Count(line => line.Contains("TCP handshakes cannot be measured on this kernel", StringComparison.Ordinal)));
        Assert.Equal(expected == "unavailable", exporter.Log.Any(line => line.Contains("tcp_set_state", StringComparison.Ordinal)));
        Assert.DoesNotContain(exporter.Log, line => line.Contains("prog '", StringComparison.Ordinal));
    }

    [Fact]
    public void Check_says_which_hook_will_be_used_and_what_is_not_seen_by_it()
    {
        var (exitCode, output, _) = ExporterProcess.Run("check");

        Assert.Equal(0, exitCode);
        Assert.Contains("handshakes     tracepoint will be used", output, StringComparison.Ordinal);
        Assert.Contains(
            KernelSupport.HasKprobes ? ", and kprobes for servers' failed requests\n" : "servers' failed requests: Cannot attach podnet_kp_free4 to the kernel's tcp_v4_reqsk_destructor, for it has no kprobes: ENOENT",
            output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_programs_own_runs_are_counted_where_the_kernel_s_statistics_are_asked_for()
    {
        using var pod = new Pod().Up();
        using var exporter = await ExporterProcess.StartAsync("--Bpf:RunStatistics=true");
        using var listener = pod.Listen();
        using var socket = TcpSockets.Open();

        socket.Connect(pod.Address, listener.Port());

        var samples = await exporter.ScrapeUntilAsync(samples =>
            samples["podnet_exporter_bpf_program_runs_total{program=\"podnet_tp_state\"}"] >= 2 && samples["podnet_exporter_bpf_program_runs_total{program=\"podnet_receive\"}"] >= 1);
        Assert.True(samples["podnet_exporter_bpf_program_run_seconds_total{program=\"podnet_tp_state\"}"] > 0);
        Assert.Equal(1024, samples["podnet_exporter_bpf_map_max_entries{map=\"handshakes\"}"]);
    }
}
