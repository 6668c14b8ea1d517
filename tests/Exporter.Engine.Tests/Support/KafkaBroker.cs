using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Confluent.Kafka;

namespace Exporter.Engine.Tests.Support;

/// <summary>A real broker of one node, or of several with a leader for each partition, on ports of the loopback interface.</summary>
internal sealed class KafkaBroker : IAsyncDisposable
{
    /// <summary>As super.users and ACLs have it.</summary>
    internal const string PlainUser = "User:ANONYMOUS";

    private const int HeapMegabytes = 384;

    private readonly JavaProcess[] _nodes;
    private readonly int[] _ports;

    /// <summary>
    /// Runs a command with the node's data on a small disk of its own, half of which something else has until <see cref="MakeRoom"/>. The disk is mounted for the
    /// node alone, and so goes with it; what is on it stays in a file.
    /// </summary>
    private const string OnDisk = """
        cd "$1" && megabytes=$2 && shift 2 && mkdir -p data || exit
        [ -e disk ] || { truncate -s "${megabytes}M" disk && mkfs.ext4 -q disk; } || exit
        mount -o loop disk data || exit
        [ -e room ] && rm -f data/other || fallocate -l "$((megabytes / 2))M" data/other || exit
        exec "$@"
        """;

    private KafkaBroker(JavaProcess[] nodes, int[] ports, int[] plainPorts, string protocol)
    {
        (_nodes, _ports) = (nodes, ports);
        BootstrapServers = Join(ports);
        PlainServers = Join(plainPorts);
        Protocol = protocol;
    }

    internal string BootstrapServers { get; }

    /// <summary>Those of a listener without TLS or passwords, which the nodes use among themselves; its user is <see cref="PlainUser"/>.</summary>
    internal string PlainServers { get; }

    /// <summary>The port of the first node.</summary>
    internal int Port => _ports[0];

    /// <summary>Of the clients' listener: PLAINTEXT, SSL, SASL_SSL or SASL_PLAINTEXT.</summary>
    internal string Protocol { get; }

    /// <summary>The output of all nodes.</summary>
    internal string Log => string.Join('\n', _nodes.Select(node => node.Log));

    /// <summary>Starts a broker and waits until all its nodes answer.</summary>
    /// <param name="properties">More properties of the broker (server.properties), which replace the test's own.</param>
    /// <param name="protocol">As of <see cref="Protocol"/>; one that needs more has it in <paramref name="properties"/>.</param>
    /// <param name="disk">Megabytes of a disk of its own for each node; null: it has what the machine has.</param>
    /// <param name="formatting">More arguments of StorageTool format, such as --add-scram.</param>
    internal static async Task<KafkaBroker> StartAsync(
        int nodes = 1, IReadOnlyDictionary<string, string>? properties = null, string protocol = "PLAINTEXT", int? disk = null, params IReadOnlyList<string> formatting)
    {
        var jars = Engines.Kafka;
        // Kafka's tool takes an id that begins with a hyphen for an option.
        var cluster = Base64Url.EncodeToString([(byte)'k', .. Guid.NewGuid().ToByteArray()[1..]]);
        var ports = Enumerable.Range(0, nodes).Select(_ => FreePort.Take()).ToArray();
        var plainPorts = Enumerable.Range(0, nodes).Select(_ => FreePort.Take()).ToArray();
        var controllers = Enumerable.Range(0, nodes).Select(_ => FreePort.Take()).ToArray();
        var processes = Enumerable.Range(0, nodes).Select(node => new JavaProcess(directory =>
        {
            var file = Path.Combine(directory, "server.properties");
            File.WriteAllLines(file, Properties(node, ports, plainPorts, controllers, protocol, directory, properties ?? new Dictionary<string, string>()).Select(property => $"{property.Key}={property.Value}"));
            string[] format = [.. JavaProcess.Java(jars, HeapMegabytes, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", file), .. formatting];
            string[] place = disk is { } megabytes ? ["unshare", "--mount", "sh", "-c", OnDisk, "sh", directory, $"{megabytes}"] : [];
            // A log that has been formatted is kept when the node starts again.
            return [.. place, "sh", "-c", $"[ -e \"$1/data/log\" ] || {string.Join(' ', format.Select(part => $"'{part}'"))} || exit; shift; exec \"$@\"", "sh", directory,
                .. JavaProcess.Java(jars, HeapMegabytes, "kafka.Kafka", file)];
        })).ToArray();
        var broker = new KafkaBroker(processes, ports, plainPorts, protocol);
        try
        {
            await Task.WhenAll(Enumerable.Range(0, nodes).Select(broker.RestartAsync));
            return broker;
        }
        catch
        {
            await broker.DisposeAsync();
            throw;
        }
    }

    /// <summary>Properties of a broker with the user podnet, for the protocol SASL_PLAINTEXT.</summary>
    internal static Dictionary<string, string> User => new()
    {
        ["sasl.enabled.mechanisms"] = "PLAIN",
        ["listener.name.clients.plain.sasl.jaas.config"] = "org.apache.kafka.common.security.plain.PlainLoginModule required user_podnet=\"s3cret\";",
    };

    /// <summary>Properties of a Java client that is this user.</summary>
    /// <param name="shading">What the names of the client's classes begin with, before Kafka's own.</param>
    internal static string ClientOfUser(string shading = "") =>
        $"security.protocol=SASL_PLAINTEXT\nsasl.mechanism = PLAIN\nsasl.jaas.config={shading}org.apache.kafka.common.security.plain.PlainLoginModule required \\\n    username=\"podnet\" password=\"s3cret\";\n";

    /// <summary>Kills a node at once (-9). It is away until <see cref="RestartAsync"/>.</summary>
    internal Task KillAsync(int node = 0) => _nodes[node].KillAsync();

    /// <summary>Ends a node (SIGTERM). It is away until <see cref="RestartAsync"/>.</summary>
    internal Task StopAsync(int node = 0) => _nodes[node].StopAsync();

    /// <summary>Holds a node, which takes connections and answers nothing, or lets it continue.</summary>
    internal Task HoldAsync(bool isHeld, int node = 0) => _nodes[node].HoldAsync(isHeld);

    /// <summary>Whether a node runs: one without room on its disk ends.</summary>
    internal bool IsRunning(int node = 0) => _nodes[node].IsRunning;

    /// <summary>The node has all of its disk when it starts again.</summary>
    internal void MakeRoom(int node = 0) => File.WriteAllText(Path.Combine(_nodes[node].Directory, "room"), "");

    /// <summary>Starts a node that was killed or ended, and waits until it listens.</summary>
    internal Task RestartAsync(int node = 0) => _nodes[node].StartAsync(async () =>
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, _ports[node]);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    });

    /// <summary>The number of the node that leads a partition.</summary>
    internal int LeaderOf(string topic, int partition)
    {
        using var admin = Administer();
        return admin.GetMetadata(topic, Silence.Limit).Topics.Single().Partitions.Single(found => found.PartitionId == partition).Leader - 1;
    }

    /// <summary>Makes a topic; it has a replica on each node.</summary>
    internal async Task CreateTopicAsync(string name, int partitions = 1, Dictionary<string, string>? configuration = null)
    {
        using var admin = Administer();
        await admin.CreateTopicsAsync([new() { Name = name, NumPartitions = partitions, ReplicationFactor = (short)_nodes.Length, Configs = configuration }]);
    }

    internal async Task DeleteTopicAsync(string name)
    {
        using var admin = Administer();
        await admin.DeleteTopicsAsync([name]);
    }

    /// <summary>A client that makes topics and asks for them.</summary>
    internal IAdminClient Administer() =>
        new AdminClientBuilder(new AdminClientConfig { BootstrapServers = PlainServers }).SetLogHandler(static (_, _) => { }).Build();

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }
    }

    private static string Join(int[] ports) => string.Join(',', ports.Select(port => $"127.0.0.1:{port}"));

    private static Dictionary<string, string> Properties(
        int node, int[] ports, int[] plainPorts, int[] controllers, string protocol, string directory, IReadOnlyDictionary<string, string> more)
    {
        var replicas = ports.Length.ToString(CultureInfo.InvariantCulture);
        var inSync = Math.Max(1, ports.Length - 1).ToString(CultureInfo.InvariantCulture);
        Dictionary<string, string> properties = new()
        {
            ["process.roles"] = "broker,controller",
            ["node.id"] = $"{node + 1}",
            ["controller.quorum.voters"] = string.Join(',', controllers.Select((port, id) => $"{id + 1}@127.0.0.1:{port}")),
            ["listeners"] = $"CLIENTS://127.0.0.1:{ports[node]},PLAIN://127.0.0.1:{plainPorts[node]},CONTROLLER://127.0.0.1:{controllers[node]}",
            ["listener.security.protocol.map"] = $"CLIENTS:{protocol},PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT",
            ["inter.broker.listener.name"] = "PLAIN",
            ["controller.listener.names"] = "CONTROLLER",
            ["log.dirs"] = Path.Combine(directory, "data", "log"),
            ["auto.create.topics.enable"] = "false",
            ["offsets.topic.num.partitions"] = "4",
            ["transaction.state.log.num.partitions"] = "4",
            ["share.coordinator.state.topic.num.partitions"] = "1",
            ["offsets.topic.replication.factor"] = replicas,
            ["transaction.state.log.replication.factor"] = replicas,
            ["transaction.state.log.min.isr"] = inSync,
            ["share.coordinator.state.topic.replication.factor"] = replicas,
            ["share.coordinator.state.topic.min.isr"] = inSync,
            ["min.insync.replicas"] = inSync,
            ["group.initial.rebalance.delay.ms"] = "0",
        };
        foreach (var (name, value) in more)
        {
            properties[name] = value;
        }
        return properties;
    }
}
