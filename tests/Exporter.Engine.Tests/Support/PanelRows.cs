using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Exporter.Engine.Tests.Support;

/// <summary>The rows of a panel's target: read from an answer, and computed from the documents without a search engine.</summary>
internal static class PanelRows
{
    /// <summary>Reads the answer to a search: the values of the metrics, by the keys of the row. Bars without a document are not rows.</summary>
    internal static Dictionary<string, JsonElement[]> Read(JsonElement answer, JsonElement target)
    {
        var rows = new Dictionary<string, JsonElement[]>();
        Read(answer.GetProperty("aggregations"), target, [], rows);
        return rows;
    }

    /// <summary>Computes the documents of each row. A level of terms has its first ones only, as many as the target says.</summary>
    /// <param name="interval">The length of a bar, in milliseconds.</param>
    internal static Dictionary<string, JsonElement[]> Group(IEnumerable<JsonElement> documents, JsonElement target, long interval)
    {
        var rows = new Dictionary<string, JsonElement[]>();
        Group([.. documents], target, interval, [], rows);
        return rows;
    }

    /// <summary>Checks the value of a metric against the documents of its row.</summary>
    internal static void AssertMetric(JsonElement metric, JsonElement value, JsonElement[] documents)
    {
        switch (Text(metric, "type"))
        {
            case "count":
                Assert.Equal(documents.Length, value.GetInt32());
                break;
            case "percentiles":
                var numbers = ValuesOf(metric, documents).Select(found => found.GetDouble()).Order().ToList();
                Assert.All(metric.GetProperty("settings").GetProperty("percents").EnumerateArray(), percent => AssertPercentile(percent.GetString()!, value, numbers));
                break;
            default:
                var found = value.GetProperty("value");
                Assert.Equal(Compute(metric, documents), found.ValueKind == JsonValueKind.Null ? null : found.GetDouble());
                break;
        }
    }

    /// <summary>The value at a path of names with dots between; null: it is absent.</summary>
    internal static JsonElement? Find(JsonElement document, string path)
    {
        foreach (var name in path.Split('.'))
        {
            if (document.ValueKind != JsonValueKind.Object || !document.TryGetProperty(name, out document))
            {
                return null;
            }
        }
        return document;
    }

    private static void Read(JsonElement aggregations, JsonElement target, List<string> keys, Dictionary<string, JsonElement[]> rows)
    {
        var found = aggregations.GetProperty(Text(BucketAt(target, keys.Count), "id")).GetProperty("buckets");
        foreach (var bucket in found.EnumerateArray().Where(bucket => bucket.GetProperty("doc_count").GetInt64() > 0))
        {
            List<string> path = [.. keys, bucket.GetProperty("key").ToString()];
            if (path.Count < target.GetProperty("bucketAggs").GetArrayLength())
            {
                Read(bucket, target, path, rows);
            }
            else
            {
                rows.Add(string.Join(" | ", path), [.. target.GetProperty("metrics").EnumerateArray().Select(metric => bucket.GetProperty(Text(metric, "type") == "count" ? "doc_count" : Text(metric, "id")))]);
            }
        }
    }

    private static void Group(JsonElement[] documents, JsonElement target, long interval, List<string> keys, Dictionary<string, JsonElement[]> rows)
    {
        if (keys.Count == target.GetProperty("bucketAggs").GetArrayLength())
        {
            rows.Add(string.Join(" | ", keys), documents);
            return;
        }
        var bucket = BucketAt(target, keys.Count);
        var groups = documents.Select(document => (Key: KeyOf(document, bucket, interval), Document: document)).Where(found => found.Key is not null)
            .GroupBy(found => found.Key!, found => found.Document).Select(group => (group.Key, Documents: group.ToArray()));
        if (Text(bucket, "type") == "terms")
        {
            var settings = bucket.GetProperty("settings");
            groups = groups.OrderByDescending(group => Order(target, Text(settings, "orderBy"), group.Documents)).ThenBy(group => Sortable(group.Key), StringComparer.Ordinal)
                .Take(int.Parse(Text(settings, "size"), CultureInfo.InvariantCulture));
        }
        foreach (var (key, members) in groups)
        {
            Group(members, target, interval, [.. keys, key], rows);
        }
    }

    /// <summary>By keys alone, all are equal here.</summary>
    private static double Order(JsonElement target, string orderBy, JsonElement[] documents) => orderBy switch
    {
        "_count" => documents.Length,
        "_key" => 0,
        _ => Compute(target.GetProperty("metrics").EnumerateArray().Single(metric => Text(metric, "id") == orderBy), documents) ?? double.NegativeInfinity,
    };

    /// <summary>A key as a text whose order is the server's: of addresses and numbers by their value.</summary>
    private static string Sortable(string key) => IPAddress.TryParse(key, out var address) && key.AsSpan().ContainsAny('.', ':')
        ? Convert.ToHexString(address.MapToIPv6().GetAddressBytes())
        : long.TryParse(key, CultureInfo.InvariantCulture, out var number) ? number.ToString("D20", CultureInfo.InvariantCulture) : key;

    private static string? KeyOf(JsonElement document, JsonElement bucket, long interval)
    {
        var value = Find(document, Text(bucket, "field"));
        if (Text(bucket, "type") == "date_histogram")
        {
            var time = value!.Value.GetDateTimeOffset().ToUnixTimeMilliseconds();
            return (time - (time % interval)).ToString(CultureInfo.InvariantCulture);
        }
        return value?.ToString() ?? (bucket.GetProperty("settings").TryGetProperty("missing", out var missing) ? missing.GetString() : null);
    }

    private static double? Compute(JsonElement metric, JsonElement[] documents)
    {
        var values = ValuesOf(metric, documents);
        return Text(metric, "type") switch
        {
            "sum" => values.Sum(value => value.GetDouble()),
            "max" => values.Max(value => (double?)value.GetDouble()),
            "cardinality" => values.Select(value => value.ToString()).Distinct().Count(),
            var other => throw new NotSupportedException($"There is no check of {other}."),
        };
    }

    /// <summary>The server estimates percentiles: the value is between the neighbours of the exact one.</summary>
    private static void AssertPercentile(string percent, JsonElement value, List<double> numbers)
    {
        var found = value.GetProperty("values").GetProperty(percent + ".0");
        if (numbers.Count == 0)
        {
            Assert.Equal(JsonValueKind.Null, found.ValueKind);
            return;
        }
        // Two numbers to either side, or a hundredth of all.
        var place = double.Parse(percent, CultureInfo.InvariantCulture) / 100 * (numbers.Count - 1);
        var spread = Math.Max(1, numbers.Count / 100);
        Assert.InRange(found.GetDouble(), numbers[Math.Max(0, (int)Math.Floor(place) - spread)], numbers[Math.Min(numbers.Count - 1, (int)Math.Ceiling(place) + spread)]);
    }

    private static IEnumerable<JsonElement> ValuesOf(JsonElement metric, JsonElement[] documents) =>
        documents.Select(document => Find(document, Text(metric, "field"))).OfType<JsonElement>();

    private static JsonElement BucketAt(JsonElement target, int level) => target.GetProperty("bucketAggs")[level];

    private static string Text(JsonElement part, string name) => part.GetProperty(name).GetString()!;
}
