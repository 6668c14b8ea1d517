using System.Net.Sockets;
using System.Text.RegularExpressions;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>
/// The recordings that the tests of rules are checked against (tests/Exporter.Rules.Tests/Recordings): scrapes of the real binary. With
/// PODNET_RECORD=1 in the environment they are written again.
/// </summary>
public sealed partial class RecordingTests
{
    private const string FlowsOn = "--Flows:Enabled=true";

    private static readonly string Directory = Path.Combine(Repository.Root, "tests", "Exporter.Rules.Tests", "Recordings");

    [Theory]
    [InlineData("pods")]
    [InlineData("pods-with-workloads", "--Metrics:PodLabels=namespace;workload;workload_kind;pod")]
    [InlineData("workloads", "--Metrics:Aggregation=workload")]
    [InlineData("uplinks", "--Uplinks:Interfaces=lo")]
    [InlineData("flows", FlowsOn, "--Flows:Interval=00:00:01", "--Edges:Level=workload", "--Edges:Classes=pods=10.0.0.0/8", "--Export:Sinks=file", "--File:Path=FOLDER/flows.json")]
    [InlineData("flows-of-namespaces", FlowsOn, "--Flows:Interval=00:00:01", "--Edges:Level=namespace", "--Edges:Classes=pods=10.0.0.0/8", "--Export:Sinks=file", "--File:Path=FOLDER/flows.json")]
    public async Task Every_series_of_a_recording_is_still_one_of_the_program(string name, params string[] options)
    {
        var folder = System.IO.Directory.CreateTempSubdirectory();
        var secret = Path.Combine(folder.FullName, "secret");
        await File.WriteAllTextAsync(secret, "user:password\n");
        try
        {
            var path = Path.Combine(Directory, name + ".txt");
            await using var node = await KubernetesNode.StartAsync(
                [$"--Server:BasicAuthFile={secret}", .. options.Select(option => option.Replace("FOLDER", folder.FullName, StringComparison.Ordinal))]);
            node.Exporter.Authorize("user", "password");
            using var server = await node.Exporter.AddPodAsync();
            using var client = await node.Exporter.AddPodAsync();
            node.Run("shop", "db-0", $"{server.Address}");
            node.Run("shop", "web-0", $"{client.Address}");
            await File.WriteAllTextAsync("/proc/sys/net/ipv4/ip_forward", "1");
            using var listener = server.Listen();
            _ = Task.Run(() => AcceptAll(listener));

            var recorded = Environment.GetEnvironmentVariable("PODNET_RECORD") == "1" ? null : await File.ReadAllLinesAsync(path);
            var text = "";
            HashSet<string> missing = [];
            var begin = TimeProvider.System.GetTimestamp();
            do
            {
                Assert.True(
                    TimeProvider.System.GetElapsedTime(begin) < Silence.Limit, $"The program has no series of these names with these labels:\n{string.Join('\n', missing)}");
                Connect(client, server, listener.Port());
                Connect(client, server, 1);
                text = await node.Exporter.GetAsync("/metrics");
                var shapes = text.Split('\n').Select(ShapeOf).ToHashSet();
                missing = [.. (recorded?.Select(ShapeOf) ?? Wanted(options)).Where(shape => shape.Length > 0 && !shapes.Contains(shape))];
            }
            while (missing.Count > 0);

            if (recorded is null)
            {
                var lines = text.Split('\n').Where(line => line.StartsWith("podnet_", StringComparison.Ordinal) || line.StartsWith("process_start", StringComparison.Ordinal));
                System.IO.Directory.CreateDirectory(Directory);
                await File.WriteAllLinesAsync(path, lines.Order(StringComparer.Ordinal));
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>What a recording waits for.</summary>
    private static IEnumerable<string> Wanted(string[] options)
    {
        string[] labels = options switch
        {
            ["--Metrics:Aggregation=workload"] => ["namespace", "workload", "workload_kind"],
            ["--Uplinks:Interfaces=lo"] or [FlowsOn, ..] or [] => ["namespace", "pod"],
            _ => ["namespace", "pod", "workload", "workload_kind"],
        };
        return
        [
            Shape("podnet_receive_bytes_total", [.. labels, "transport"]),
            Shape("podnet_transmit_bytes_total", [.. labels, "transport"]),
            Shape("podnet_tcp_handshake_failures_total", [.. labels, "role", "reason"]),
            Shape("podnet_tcp_handshake_duration_seconds_bucket", [.. labels, "role", "le"]),
            Shape("podnet_exporter_credential_reload_failures_total", ["secret"]),
            Shape("podnet_exporter_kubernetes_last_event_timestamp_seconds", ["resource"]),
            .. options is ["--Uplinks:Interfaces=lo"] ? [Shape("podnet_uplink_receive_packets_total", ["interface", "class"])] : Array.Empty<string>(),
            .. options is [FlowsOn, _, var level, ..]
                ?
                [
                    Shape("podnet_edge_connections_total", [.. level.EndsWith("workload", StringComparison.Ordinal) ? labels[..1].Append("workload").Append("workload_kind") : labels[..1], "peer", "peer_kind", "peer_namespace", "role"]),
                    Shape("podnet_exporter_sink_up", ["sink"]),
                ]
                : Array.Empty<string>(),
        ];
    }

    private static string Shape(string name, IEnumerable<string> labels) => $"{name}{{{string.Join(',', labels.Order(StringComparer.Ordinal))}}}";

    /// <summary>The name and the labels of a sample, without their values; empty for another line.</summary>
    private static string ShapeOf(string line) => Sample().Match(line) is { Success: true } sample
        ? Shape(sample.Groups["name"].Value, Label().Matches(sample.Groups["labels"].Value).Select(label => label.Groups[1].Value))
        : "";

    /// <summary>Else the listener's queue is full some time, and a connection waits for two minutes. Ends with the listener.</summary>
    private static void AcceptAll(Socket listener)
    {
        try
        {
            while (true)
            {
                listener.Accept().Dispose();
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static void Connect(Pod from, Pod to, int port)
    {
        using var socket = TcpSockets.Open(from).WithReset();
        try
        {
            socket.Connect(to.Address, port);
        }
        catch (SocketException)
        {
            // Nobody listens on port 1.
        }
    }

    [GeneratedRegex("^(?<name>(podnet_|process_start)[a-z0-9_]*)({(?<labels>.*)})? ")]
    private static partial Regex Sample();

    [GeneratedRegex("([a-zA-Z_][a-zA-Z0-9_]*)=\"(?:[^\"\\\\]|\\\\.)*\"")]
    private static partial Regex Label();
}
