using System.Text.Json;
using Exporter.Engine.Tests.Golden;

namespace Exporter.Engine.Tests;

/// <summary>Compares results of the Flink job with the truth of golden traffic.</summary>
internal static class FlinkResults
{
    private static readonly string[] Sides = ["source", "destination"];

    /// <summary>Each attack has one detection with its ends and value, each detection an id of its own, and there is no other but slow scans that are port scans, too.</summary>
    internal static void AssertDetections(GoldenTruth truth, IReadOnlyList<JsonElement> found)
    {
        Assert.Equal(found.Count, found.Select(detection => Text(detection, "event", "id")).Distinct().Count());
        Assert.All(found, detection => Assert.Equal(("alert", "podnet.detection"), (Text(detection, "event", "kind"), Text(detection, "event", "dataset"))));
        var scans = found.Where(detection => Rule(detection) == "port_scan").Select(Ends).ToHashSet();

        Assert.Equal(
            Planted(truth).Select(Describe).Order(StringComparer.Ordinal),
            found.Where(detection => Rule(detection) != "slow_scan" || !scans.Contains(Ends(detection))).Select(Describe).Order(StringComparer.Ordinal));
    }

    /// <summary>Each minute and pair has one row with the sums of its records.</summary>
    /// <param name="hasRecords">Of which minutes the topic has records; null: of all.</param>
    internal static void AssertMatrix(GoldenTruth truth, IReadOnlyList<JsonElement> rows, Func<DateTimeOffset, bool>? hasRecords = null) => Assert.Equal(
        truth.Matrix.Where(row => hasRecords is null || hasRecords(row.Key.Minute)).Select(row => $"{row.Key.Minute.UtcDateTime:yyyy-MM-ddTHH:mm:ss.fffZ} {row.Key.Source} {row.Key.Destination} {row.Value.SourceBytes} {row.Value.SourcePackets} {row.Value.DestinationBytes} {row.Value.DestinationPackets} {row.Value.Connections} {Mean(row.Value)}").Order(StringComparer.Ordinal),
        rows.Select(row => $"{Text(row, "@timestamp")} {Name(row, "source")} {Name(row, "destination")} {Number(row, "source", "bytes")} {Number(row, "source", "packets")} {Number(row, "destination", "bytes")} {Number(row, "destination", "packets")} {Number(row, "flow", "connections")} {Number(row, "tcp", "rtt", "mean"):F0}").Order(StringComparer.Ordinal));

    /// <summary>The messages that are in no window, by reason.</summary>
    internal static Dictionary<string, long> Sum(IReadOnlyList<JsonElement> counts) =>
        counts.GroupBy(count => Text(count, "count", "reason")!).ToDictionary(group => group.Key, group => group.Sum(count => (long)Number(count, "count", "records")!.Value));

    /// <summary>The detections of the attacks that this job is to find.</summary>
    internal static IEnumerable<JsonElement> Planted(GoldenTruth truth) =>
        truth.Detections.Select(planted => JsonSerializer.SerializeToElement(planted)).Where(planted => Rule(planted) != "beacon");

    /// <summary>The minute of a row of the matrix.</summary>
    internal static DateTimeOffset MinuteOf(JsonElement row) => row.GetProperty("@timestamp").GetDateTimeOffset();

    internal static string? Rule(JsonElement detection) => Text(detection, "rule", "name");

    /// <summary>The text at a path; null where there is none.</summary>
    internal static string? Text(JsonElement json, params ReadOnlySpan<string> path) => Find(json, path)?.ToString();

    private static double? Number(JsonElement json, params ReadOnlySpan<string> path) => Find(json, path)?.GetDouble();

    private static JsonElement? Find(JsonElement json, ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            if (!json.TryGetProperty(name, out json))
            {
                return null;
            }
        }
        return json;
    }

    private static string Mean(MatrixRow row) => row.RttRecords == 0 ? "" : $"{(double)row.RttSum / row.RttRecords:F0}";

    private static string Name(JsonElement row, string side) => Text(row, side, "class") ?? $"{Text(row, side, "k8s", "namespace", "name")}/{Text(row, side, "k8s", "workload", "name")}";

    private static string Describe(JsonElement detection)
    {
        var value = Number(detection, "detection", "value")!.Value;
        return Rule(detection) switch
        {
            // Of the first record that came; and with the usual connections of the minute.
            "clock" => $"clock {Text(detection, "k8s", "node", "name")} {value / 60:F0} min",
            "syn_flood" => $"syn_flood {Ends(detection)} {Math.Floor(value / 100)}",
            var rule => $"{rule} {Text(detection, "k8s", "node", "name")} {Ends(detection)} {value}",
        };
    }

    /// <summary>Both ends, as far as a truth and a detection name them. A flood has no source, but a class.</summary>
    private static string Ends(JsonElement detection) => string.Join(' ', Sides.SelectMany(side => new[]
    {
        Text(detection, side, "ip"), Text(detection, side, "port"), side == "source" ? null : Text(detection, side, "class"),
        Text(detection, side, "k8s", "namespace", "name"), Text(detection, side, "k8s", "pod", "name"), Text(detection, side, "k8s", "workload", "name"),
    }));
}
