using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Exporter.Engine.Tests.Support;

/// <summary>The search that Grafana's data source for Elasticsearch sends for a target of a panel, as far as dashboards/elasticsearch needs it.</summary>
/// <param name="from">The first millisecond of the dashboard's time range, since 1970.</param>
/// <param name="to">The last one.</param>
/// <param name="interval">The length of a bar that Grafana chooses for the width of the panel, in milliseconds.</param>
internal sealed class GrafanaQuery(JsonElement target, long from, long to, long interval)
{
    private readonly JsonElement[] _metrics = [.. target.GetProperty("metrics").EnumerateArray()];
    private readonly JsonElement[] _buckets = [.. target.GetProperty("bucketAggs").EnumerateArray()];

    private string TimeField { get; } = target.GetProperty("timeField").GetString()!;

    /// <summary>Builds the body of the search.</summary>
    /// <param name="filter">Of the dashboard's variable for filters, in Lucene's language; empty: none is chosen.</param>
    internal JsonObject Build(string filter = "")
    {
        var query = target.GetProperty("query").GetString()!;
        JsonObject search = new()
        {
            ["size"] = 0,
            ["query"] = new JsonObject
            {
                ["bool"] = new JsonObject
                {
                    ["filter"] = new JsonArray(
                        new JsonObject { ["range"] = new JsonObject { [TimeField] = new JsonObject { ["gte"] = from, ["lte"] = to, ["format"] = "epoch_millis" } } },
                        new JsonObject { ["query_string"] = new JsonObject { ["analyze_wildcard"] = true, ["query"] = filter.Length > 0 ? $"{query} AND {filter}" : query } }),
                },
            },
        };
        if (_metrics is [var only] && Type(only) == "raw_data")
        {
            search["size"] = Number(only, "size");
            search["sort"] = new JsonArray(
                new JsonObject { [TimeField] = new JsonObject { ["order"] = "desc", ["unmapped_type"] = "boolean" } }, new JsonObject { ["_doc"] = new JsonObject { ["order"] = "desc" } });
            search["docvalue_fields"] = new JsonArray(TimeField);
        }
        else
        {
            search["aggs"] = Aggregations(0);
        }
        return search;
    }

    /// <summary>The aggregation of a level, with those of the next within it; the metrics are innermost.</summary>
    private JsonObject Aggregations(int level)
    {
        if (level == _buckets.Length)
        {
            return new(_metrics.Where(metric => Type(metric) != "count").Select(metric => KeyValuePair.Create(Id(metric), (JsonNode?)Metric(metric, withSettings: true))));
        }
        var bucket = _buckets[level];
        var inner = Aggregations(level + 1);
        var aggregation = Type(bucket) switch
        {
            "terms" => Terms(bucket, inner),
            "date_histogram" => DateHistogram(bucket),
            var other => throw new NotSupportedException($"The translation does not know buckets of {other}."),
        };
        return new() { [Id(bucket)] = new JsonObject { [Type(bucket)] = aggregation, ["aggs"] = inner } };
    }

    private JsonObject Terms(JsonElement bucket, JsonObject inner)
    {
        var orderBy = Setting(bucket, "orderBy")!;
        if (_metrics.SingleOrDefault(metric => Id(metric) == orderBy) is { ValueKind: JsonValueKind.Object } metric)
        {
            // Grafana repeats the metric at this level, without its settings.
            inner[orderBy] ??= Metric(metric, withSettings: false);
        }
        JsonObject terms = new()
        {
            ["field"] = Field(bucket),
            ["size"] = Number(bucket, "size"),
            ["order"] = new JsonObject { [orderBy] = Setting(bucket, "order") },
            ["min_doc_count"] = Number(bucket, "min_doc_count"),
        };
        if (Setting(bucket, "missing") is { } missing)
        {
            terms["missing"] = missing;
        }
        return terms;
    }

    private JsonObject DateHistogram(JsonElement bucket) => Setting(bucket, "interval") == "auto"
        ? new()
        {
            ["field"] = Field(bucket),
            ["fixed_interval"] = string.Create(CultureInfo.InvariantCulture, $"{interval}ms"),
            ["min_doc_count"] = Number(bucket, "min_doc_count"),
            ["extended_bounds"] = new JsonObject { ["min"] = from, ["max"] = to },
            ["format"] = "epoch_millis",
        }
        : throw new NotSupportedException("The translation knows bars of Grafana's choice only.");

    private static JsonObject Metric(JsonElement metric, bool withSettings)
    {
        JsonObject body = withSettings && metric.TryGetProperty("settings", out var settings) ? JsonObject.Create(settings.Clone())! : [];
        body["field"] = Field(metric);
        return new() { [Type(metric)] = body };
    }

    private static string Id(JsonElement part) => part.GetProperty("id").GetString()!;

    private static string Type(JsonElement part) => part.GetProperty("type").GetString()!;

    private static string Field(JsonElement part) => part.GetProperty("field").GetString()!;

    private static string? Setting(JsonElement part, string name) => part.GetProperty("settings").TryGetProperty(name, out var value) ? value.GetString() : null;

    private static int Number(JsonElement part, string name) => int.Parse(Setting(part, name)!, CultureInfo.InvariantCulture);
}
