using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>A node whose loopback interface cannot be used when the exporter starts: in a network namespace of its own, scraped from outside.</summary>
public sealed class LoopbackTrialTests
{
    private const string FarFirewall = "add table inet pnl; add chain inet pnl in { type filter hook input priority 0; }; add rule inet pnl in iif lo";

    public static TheoryData<string, string, string> Obstacles => new()
    {
        { "link set lo down", "link set lo up", "bring lo up with 'ip link set lo up'" },
        { "drop", "", "let TCP connections to 127.0.0.1 through the firewall" },
        { "tcp dport != 0 reject with tcp reset", "", "let TCP connections to 127.0.0.1 through the firewall" },
    };

    [Theory]
    [MemberData(nameof(Obstacles))]
    public async Task Handshakes_are_counted_and_the_trial_is_made_as_soon_as_lo_can_be_used(string obstacle, string remedy, string advice)
    {
        using var node = new Pod().Up();
        if (remedy.Length > 0)
        {
            node.Namespace.Ip(obstacle);
        }
        else
        {
            node.Namespace.Exec("nft", $"{FarFirewall} {obstacle}");
        }
        var port = ExporterProcess.FreePort();
        using var exporter = await ExporterProcess.StartCommandAsync(
            port, ["ip", "netns", "exec", node.Name, ExporterProcess.Binary, $"--Server:Urls=http://{node.Address}:{port}", "--Bpf:PinDirectory=", "--Drain:Interval=00:00:00.1"]);

        await exporter.WaitForLogAsync(advice);
        using var listener = node.Listen();
        using var socket = TcpSockets.Open();
        socket.Connect(node.Address, listener.Port());
        Assert.DoesNotContain(exporter.Log, line => line.Contains("cannot be measured on this kernel", StringComparison.Ordinal));
        await AssertCountedAsync(node, port);

        if (remedy.Length > 0)
        {
            node.Namespace.Ip(remedy);
        }
        else
        {
            node.Namespace.Exec("nft", "flush ruleset");
        }
        await exporter.WaitForLogAsync("it sees TCP handshakes");
    }

    [Fact]
    public void Check_says_what_keeps_a_hook_from_being_tried()
    {
        using var node = new Pod().Up();
        node.Namespace.Ip("link set lo down");

        var output = node.Namespace.Exec(ExporterProcess.Binary, "check");

        Assert.Contains($"handshakes     tracepoint will be used{(KernelSupport.HasKprobes ? ", and kprobes for servers' failed requests" : "")}\n", output, StringComparison.Ordinal);
        Assert.Contains("not tried: no connection can be made to 127.0.0.1", output, StringComparison.Ordinal);
        Assert.Contains("bring lo up with 'ip link set lo up'", output, StringComparison.Ordinal);
    }

    private static async Task AssertCountedAsync(Pod node, int port)
    {
        using var http = new HttpClient { BaseAddress = new($"http://{node.Address}:{port}") };
        var text = "";
        for (var attempt = 0; attempt < 300; attempt++)
        {
            text = await http.GetStringAsync("/metrics");
            var samples = new MetricSamples(text);
            if (samples.Sum("podnet_tcp_handshake_duration_seconds_count", "pod=\"__host__\"", "role=\"server\"") > 0
                && samples["podnet_exporter_hook_info{kind=\"handshake\",hook=\"tracepoint\"}"] == 1)
            {
                return;
            }
            await Task.Delay(100);
        }
        Assert.Fail($"No handshake is counted:\n{text}");
    }
}
