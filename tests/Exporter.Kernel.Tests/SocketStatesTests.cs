using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.SocketStates;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>
/// A signal that the program has no line for, put into its session beside its own: with a field of each kind, keyed by network namespace, and released
/// late. Its families, options, documentation, ledger, budget, replacement and restarts work as those of any signal.
/// </summary>
public sealed class SocketStatesTests
{
    private const string Changes = "podnet_test_socket_changes_total";

    /// <summary>A refused connection goes from CLOSE to SYN_SENT and back.</summary>
    private const int ChangesOfRefusal = 2;

    /// <summary>128 and SIGKILL.</summary>
    private const int Killed = 137;

    private static readonly string[] WithSocketStates = [Environment.ProcessPath!, NodeWithSocketStates.Command];

    public static TheoryData<DrainStep> Steps => [.. Enum.GetValues<DrainStep>().Where(step => step != DrainStep.None)];

    [Fact]
    public async Task Fields_of_each_kind_are_families_of_the_pod()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        using var exporter = await StartAsync(node);
        await exporter.WaitForAttachedAsync(pod.Interface);

        Refuse(pod, count: 3, firstPort: 40_000);

        var samples = await exporter.ScrapeUntilAsync(samples => Of(samples, Changes, pod) == 3 * ChangesOfRefusal);
        Assert.Equal(40_002, Of(samples, "podnet_test_socket_largest_port", pod));
        Assert.Equal(40_000, Of(samples, "podnet_test_socket_smallest_port", pod));
        // TCP_CLOSE, which follows TCP_SYN_SENT.
        Assert.Equal(7, Of(samples, "podnet_test_socket_last_state", pod));
        Assert.Equal((1 << 7) | (1 << 2), Of(samples, "podnet_test_socket_states", pod));
    }

    [Fact]
    public async Task It_is_in_everything_that_the_exporter_shows_of_signals()
    {
        using var node = new PinnedNode();
        using var pod = new Pod();
        using var exporter = await StartAsync(node);
        await exporter.WaitForAttachedAsync(pod.Interface);

        var samples = await exporter.ScrapeAsync();

        Assert.Equal(0, samples["podnet_exporter_drain_errors_total{signal=\"socket_states\"}"]);
        Assert.Equal(0, samples["podnet_exporter_unheld_rows_total{signal=\"socket_states\"}"]);
        Assert.Equal(0, samples["podnet_exporter_retired_socket_changes_total{side=\"all\"}"]);
        Assert.Equal(0, samples["podnet_exporter_series_folded{block=\"socket_states\"}"]);
        Assert.Equal(256, samples["podnet_exporter_bpf_map_max_entries{map=\"socket_states\"}"]);
        Assert.Equal(0, samples["podnet_exporter_bpf_replacements_total{object=\"socket_states\",result=\"refused\"}"]);
        Assert.Contains("podnet_test_state", await exporter.GetAsync("/api/v1/bpf"), StringComparison.Ordinal);
        Assert.Contains("### `podnet_test_socket_changes_total`", Print("metrics"), StringComparison.Ordinal);
        Assert.Contains("`SocketStates:KilledAt` | `none` | none, read, committed, kept, releasing, released", Print("options"), StringComparison.Ordinal);
        Assert.Contains("\"SocketStates\": {", Print("options", "--schema"), StringComparison.Ordinal);
    }

    /// <summary>Rows stay in the kernel between their commit and the next drain: they are observed again, and credited once.</summary>
    [Theory]
    [MemberData(nameof(Steps))]
    public async Task Killed_at_any_step_of_its_drain_each_change_is_credited_once_and_observed(DrainStep step)
    {
        const int Connections = 5;
        using var node = new PinnedNode();
        using var pod = new Pod();
        var observed = Path.GetTempFileName();
        try
        {
            using (var first = await StartAsync(node))
            {
                await first.WaitForAttachedAsync(pod.Interface);
                Assert.Equal(0, first.Terminate());
            }
            Refuse(pod, Connections, firstPort: 41_000);
            using (var killed = ExporterProcess.LaunchInstead(WithSocketStates, [.. node.Options, $"--SocketStates:KilledAt={step}", $"--SocketStates:Observed={observed}"]))
            {
                Assert.Equal(Killed, killed.WaitForExit());
            }
            Refuse(pod, Connections, firstPort: 42_000);

            using var last = await StartAsync(node, $"--SocketStates:Observed={observed}");
            var samples = await last.ScrapeUntilAsync(samples => Of(samples, Changes, pod) >= 2 * Connections * ChangesOfRefusal);
            Assert.Equal(2 * Connections * ChangesOfRefusal, Of(samples, Changes, pod));
            Assert.Equal(0, last.Terminate());

            var rows = File.ReadAllLines(observed).Select(line => line.Split(' ')).ToList();
            var isRepeated = step is DrainStep.Committed or DrainStep.Kept or DrainStep.Releasing;
            // Sockets of the whole machine have rows, and those of another namespace can have as many changes.
            Assert.Equal(isRepeated, rows.Exists(row => row[0] == pod.Name && row[2] == "repeated" && int.Parse(row[1], CultureInfo.InvariantCulture) == Connections * ChangesOfRefusal));
            Assert.Contains(rows, row => row[2] == "new");
        }
        finally
        {
            File.Delete(observed);
        }
    }

    [Fact]
    public async Task Its_object_is_replaced_while_it_counts()
    {
        using var objects = new BpfVariants();
        using var node = new PinnedNode($"--Bpf:ObjectDirectory={objects.Target}");
        using var pod = new Pod();
        using var exporter = await StartAsync(node);
        await exporter.WaitForAttachedAsync(pod.Interface);
        Refuse(pod, count: 1, firstPort: 43_000);
        await exporter.ScrapeUntilAsync(samples => Of(samples, Changes, pod) == ChangesOfRefusal);

        objects.Publish(SocketStatesSignal.Name, LoadedSocketStates.ReadEmbedded());
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_bpf_replacements_total{object=\"socket_states\",result=\"replaced\"}"] == 1);
        Refuse(pod, count: 1, firstPort: 44_000);

        await exporter.ScrapeUntilAsync(samples => Of(samples, Changes, pod) == 2 * ChangesOfRefusal);
    }

    /// <summary>The budget has room for one of its blocks and none of the second pod's.</summary>
    [Fact]
    public async Task Its_blocks_are_folded_where_the_budget_has_no_room()
    {
        using var node = new PinnedNode("--Metrics:MaxPods=1");
        using var one = new Pod();
        using var other = new Pod();
        using var exporter = await StartAsync(node);
        await exporter.WaitForAttachedAsync(one.Interface);
        await exporter.WaitForAttachedAsync(other.Interface);

        Refuse(one, count: 1, firstPort: 45_000);
        await exporter.ScrapeUntilAsync(samples => samples.Sum(Changes) == ChangesOfRefusal);
        Refuse(other, count: 2, firstPort: 46_000);

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum(Changes) == 3 * ChangesOfRefusal);
        Assert.Equal(2 * ChangesOfRefusal, samples.Sum(Changes, "pod=\"__other__\""));
        Assert.Equal(46_001, samples.Sum("podnet_test_socket_largest_port", "pod=\"__other__\""));
        Assert.Equal(1, samples["podnet_exporter_series_folded{block=\"socket_states\"}"]);
    }

    private static Task<ExporterProcess> StartAsync(PinnedNode node, params string[] options) => ExporterProcess.StartBehindAsync(WithSocketStates, [.. node.Options, .. options]);

    private static double Of(MetricSamples samples, string family, Pod pod) => samples.Sum(family, $"pod=\"{pod.Namespace.Name}\"");

    /// <summary>Connections inside the pod to a port that nothing listens on.</summary>
    private static int Refuse(Pod pod, int count, int firstPort) => pod.Namespace.Run(() =>
    {
        for (var port = firstPort; port < firstPort + count; port++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => socket.Connect(IPAddress.Loopback, 1)).SocketErrorCode);
        }
        return count;
    });

    private static string Print(params string[] arguments) => Shell.Run(WithSocketStates[0], [WithSocketStates[1], .. arguments]);
}
