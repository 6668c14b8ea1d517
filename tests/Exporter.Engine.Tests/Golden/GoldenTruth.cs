using System.Text.Json;
using System.Text.Json.Nodes;

namespace Exporter.Engine.Tests.Golden;

/// <summary>The answers that jobs over golden traffic have to give, by the traffic itself and not by its records.</summary>
internal sealed class GoldenTruth
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly Dictionary<(DateTimeOffset Minute, string Source, string Destination), MatrixRow> _matrix = [];

    internal DateTimeOffset Begin { get; init; }

    internal IReadOnlyDictionary<(DateTimeOffset Minute, string Source, string Destination), MatrixRow> Matrix => _matrix;

    /// <summary>Every detection of the jobs, once, in the shape of a detection; without its id.</summary>
    internal List<JsonObject> Detections { get; } = [];

    internal SortedDictionary<string, int> Counts { get; } = [];

    internal void Count(string name) => Counts[name] = Counts.GetValueOrDefault(name) + 1;

    /// <summary>Adds what one record has, weighted.</summary>
    /// <param name="timestamp">The record's.</param>
    internal void Add(DateTimeOffset timestamp, Sight sight)
    {
        var conversation = sight.Conversation;
        var minute = timestamp.AddTicks(-(timestamp.Ticks % TimeSpan.TicksPerMinute));
        var key = (minute, NameOf(conversation.Source), NameOf(conversation.Destination));
        var weight = (ulong)Math.Round(1 / (conversation.Probability ?? 1));
        var row = _matrix.GetValueOrDefault(key) ?? new();
        var (sent, received) = ((ulong)sight.Steps * weight, conversation.HasReply ? (ulong)sight.Steps * weight : 0);
        _matrix[key] = row with
        {
            SourceBytes = row.SourceBytes + (sent * conversation.SourceBytes),
            SourcePackets = row.SourcePackets + (sent * conversation.SourcePackets),
            DestinationBytes = row.DestinationBytes + (received * conversation.DestinationBytes),
            DestinationPackets = row.DestinationPackets + (received * conversation.DestinationPackets),
            Connections = row.Connections + (sight.Connections * weight),
            RttSum = row.RttSum + (IsTimed(sight) ? conversation.Rtt!.Value : 0),
            RttRecords = row.RttRecords + (IsTimed(sight) ? 1ul : 0),
        };
    }

    /// <summary>Adds an attack, or what else a rule has to find.</summary>
    internal void Plant(string rule, GoldenEnd? source, GoldenEnd? destination, int? port, double value, TimeSpan from, TimeSpan until, string? node = null)
    {
        var detection = new JsonObject
        {
            ["rule"] = new JsonObject { ["name"] = rule },
            ["event"] = new JsonObject { ["start"] = Text(Begin + from), ["end"] = Text(Begin + until) },
            ["detection"] = new JsonObject { ["value"] = value },
        };
        if (source is not null)
        {
            detection["source"] = Describe(source, port: null);
        }
        if (destination is not null)
        {
            detection["destination"] = Describe(destination, port);
        }
        if (node is not null)
        {
            detection["k8s"] = new JsonObject { ["node"] = new JsonObject { ["name"] = node } };
        }
        Detections.Add(detection);
    }

    /// <summary>namespace/workload, or the class.</summary>
    internal static string NameOf(GoldenEnd end) => end.Pod is { } pod ? $"{pod.Names.Namespace}/{pod.Names.Workload}" : end.Class;

    internal string ToJson() => new JsonObject
    {
        ["begin"] = Text(Begin),
        ["counts"] = JsonSerializer.SerializeToNode(Counts),
        ["detections"] = new JsonArray([.. Detections.Select(detection => detection.DeepClone())]),
        ["matrix"] = new JsonArray([.. _matrix.OrderBy(row => row.Key).Select(row => Describe(row.Key, row.Value))]),
    }.ToJsonString(Indented);

    private static bool IsTimed(Sight sight) => sight.Steps > 0 && sight.Conversation is { IsAnswered: true, Rtt: not null };

    private static JsonObject Describe((DateTimeOffset Minute, string Source, string Destination) key, MatrixRow row) => new()
    {
        ["minute"] = Text(key.Minute),
        ["source"] = key.Source,
        ["destination"] = key.Destination,
        ["source_bytes"] = row.SourceBytes,
        ["source_packets"] = row.SourcePackets,
        ["destination_bytes"] = row.DestinationBytes,
        ["destination_packets"] = row.DestinationPackets,
        ["connections"] = row.Connections,
        ["rtt_sum"] = row.RttSum,
        ["rtt_records"] = row.RttRecords,
    };

    private static JsonObject Describe(GoldenEnd end, int? port)
    {
        var described = new JsonObject();
        if (!end.Address.IsNone)
        {
            described["ip"] = end.Address.ToString();
        }
        if (port is not null)
        {
            described["port"] = port;
        }
        if (end.Pod is not { } pod)
        {
            described["class"] = end.Class;
            return described;
        }
        described["k8s"] = new JsonObject
        {
            ["namespace"] = new JsonObject { ["name"] = pod.Names.Namespace },
            ["pod"] = new JsonObject { ["name"] = pod.Names.Pod },
            ["workload"] = new JsonObject { ["name"] = pod.Names.Workload },
        };
        return described;
    }

    private static string Text(DateTimeOffset time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
}
