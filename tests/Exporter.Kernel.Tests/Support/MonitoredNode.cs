using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// A node with a pod that connects to another all the time, an uplink with frames of every class both ways, the exporter, and what watches it: Prometheus with the project's own rules, and
/// Alertmanager with the project's own example, both with minutes made seconds.
/// </summary>
public sealed partial class MonitoredNode : IAsyncLifetime
{
    private const int Connectors = 8;

    private readonly CancellationTokenSource _end = new();
    private readonly List<Thread> _threads = [];
    private readonly DirectoryInfo _records = Directory.CreateTempSubdirectory("podnet-test-");
    private KubernetesNode? _node;
    private UplinkWire? _uplink;
    private Pod? _server;
    private Pod? _client;
    private Socket? _listener;
    private Daemon? _alertmanager;
    private PrometheusServer? _prometheus;

    internal PrometheusServer Prometheus => _prometheus!;

    internal AlertReceiver Receiver { get; } = new();

    public async ValueTask InitializeAsync()
    {
        _uplink = new();
        _node = await KubernetesNode.StartAsync(
            "--Bpf:RunStatistics=true",
            $"--Uplinks:Interfaces={_uplink.Name}",
            $"--Attach:Exclude=^{_uplink.Name}$",
            "--Flows:Enabled=true",
            "--Flows:Interval=00:00:01",
            "--Edges:Level=workload",
            "--Edges:Classes=pods=10.0.0.0/8",
            "--Export:Sinks=file",
            $"--File:Path={Path.Combine(_records.FullName, "flows.json")}");
        SendFrames(_uplink);
        _server = await _node.Exporter.AddPodAsync();
        _client = await _node.Exporter.AddPodAsync();
        _node.Run("shop", "db-0", $"{_server.Address}");
        _node.Run("shop", "web-0", $"{_client.Address}");
        await File.WriteAllTextAsync("/proc/sys/net/ipv4/ip_forward", "1");
        _listener = _server.Listen();
        Run(() => _listener.Accept().Dispose());
        // One SYN that is sent again, so that there is a series of these.
        DropFirstSyns();
        Connect(_listener.Port());
        DropNothing();
        for (var i = 0; i < Connectors; i++)
        {
            Run(() =>
            {
                Connect(_listener.Port());
                _end.Token.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(20));
            });
        }
        // Connections that end in order have a round-trip time, and datagrams go where no route leads.
        Run(() =>
        {
            using var socket = TcpSockets.Open(_client);
            socket.Connect(_server.Address, _listener.Port());
            _ = socket.Receive(new byte[1]);
            socket.Close();
            using var outside = _client.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            outside.SendTo([1, 2, 3], new IPEndPoint(IPAddress.Parse("198.51.100.1"), 53));
            _end.Token.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(100));
        });
        // Nobody listens there: a port that is in use as the other end of nothing.
        Run(() =>
        {
            Connect(1);
            _end.Token.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(500));
        });

        var alertmanager = ExporterProcess.FreePort();
        _alertmanager = Daemon.Start(directory =>
        {
            var configuration = Path.Combine(directory, "alertmanager.yml");
            var example = File.ReadAllText(Path.Combine(Repository.Root, "dashboards", "alertmanager-example.yml"));
            File.WriteAllText(configuration, Interval().Replace(ReceiverAddress().Replace(example, match => $"{Receiver.Address}{match.Groups[1].Value}"), "$1: 1s"));
            return ["prometheus-alertmanager", $"--config.file={configuration}", $"--storage.path={directory}/data", $"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address=", "--log.level=error"];
        });
        _prometheus = PrometheusServer.Start(_node.Exporter.Port, directory =>
        {
            foreach (var path in Directory.GetFiles(Path.Combine(Repository.Root, "dashboards", "rules"), "*.yaml"))
            {
                File.WriteAllText(Path.Combine(directory, "rules-" + Path.GetFileName(path)), Shorten(File.ReadAllText(path)));
            }
            return $$"""
                rule_files: [{{directory}}/rules-*.yaml]
                alerting:
                  alertmanagers:
                    - static_configs: [{targets: ["127.0.0.1:{{alertmanager}}"]}]
                """;
        });
    }

    internal static string ShortenOffsets(string expression) => Regex.Replace(expression, "offset ([12])[hd]", "offset ${1}s");

    /// <summary>From now on the pod's handshakes take a second: the first SYN of each is dropped where it arrives.</summary>
    internal void DropFirstSyns() => _server!.Namespace.Exec(
        "nft",
        """
        add table inet pnt;
        add set inet pnt seen { type inet_service; flags dynamic,timeout; timeout 30s; };
        add chain inet pnt input { type filter hook input priority 0; };
        add rule inet pnt input tcp flags & (syn|ack) == syn tcp sport != @seen add @seen { tcp sport } drop
        """);

    internal void DropNothing() => _server!.Namespace.Exec("nft", "flush ruleset");

    public async ValueTask DisposeAsync()
    {
        _prometheus?.Dispose();
        _alertmanager?.Dispose();
        Receiver.Dispose();
        await _end.CancelAsync();
        _listener?.Dispose();
        _threads.ForEach(thread => thread.Join());
        _client?.Dispose();
        _server?.Dispose();
        _uplink?.Dispose();
        if (_node is not null)
        {
            await _node.DisposeAsync();
        }
        _records.Delete(recursive: true);
        _end.Dispose();
    }

    private static string Shorten(string rules) => Interval().Replace(Regex.Replace(ShortenOffsets(rules), @"\[(25h|1d|7d)(:[0-9]+m)?\]", "[1m:1s]"), "$1: 1s")
        .Replace("[5m]", "[10s]", StringComparison.Ordinal)
        .Replace("[10m]", "[10s]", StringComparison.Ordinal)
        .Replace("[1h]", "[10s]", StringComparison.Ordinal)
        .Replace("[90m]", "[10s]", StringComparison.Ordinal)
        .Replace("> 900", "> 1", StringComparison.Ordinal);

    private void SendFrames(UplinkWire uplink)
    {
        var (wire, own) = (uplink.OpenWire(), uplink.Open());
        Run(() =>
        {
            foreach (var (frame, _) in UplinkFrames.All)
            {
                wire.Send(frame);
                own.Send(frame);
            }
            if (_end.Token.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(100)))
            {
                wire.Dispose();
                own.Dispose();
            }
        });
    }

    private void Connect(int port)
    {
        using var socket = TcpSockets.Open(_client).WithReset();
        try
        {
            socket.Connect(_server!.Address, port);
        }
        catch (SocketException)
        {
            // Refused.
        }
    }

    /// <summary>Again and again, on a thread of its own.</summary>
    private void Run(Action action)
    {
        var thread = new Thread(() =>
        {
            while (!_end.IsCancellationRequested)
            {
                try
                {
                    action();
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    // The listener ends with the node.
                }
            }
        });
        thread.Start();
        _threads.Add(thread);
    }

    [GeneratedRegex(@"\b(for|interval|group_wait|group_interval): [0-9]+[smh]")]
    private static partial Regex Interval();

    [GeneratedRegex(@"http://([a-z]+)\.example\.invalid/alerts")]
    private static partial Regex ReceiverAddress();
}
