using System.Globalization;
using System.Text;

namespace Exporter.Records;

/// <summary>podnet-exporter flows schema --for=clickhouse: a table that ClickHouse fills from the topic by itself, with a column for each field.</summary>
internal static class ClickHouseSchema
{
    private const string Time = "timestamp";

    internal static string Write()
    {
        var fields = SchemaField.OfRecords;
        var width = fields.Max(field => NameOf(field).Length);
        var text = new StringBuilder();
        text.Append("""
            -- The topic: a message is a record.
            CREATE TABLE podnet_flows_topic (line String) ENGINE = Kafka
            SETTINGS kafka_broker_list = 'localhost:9092', kafka_topic_list = 'podnet.flows', kafka_group_name = 'podnet', kafka_format = 'RawBLOB';

            -- The records. A repeat has the same dataset, timestamp and event_id: merges remove it, and SELECT ... FINAL does not show it.
            CREATE TABLE podnet_flows (

            """);
        text.AppendJoin(",\n", fields.Select(field => $"  {NameOf(field).PadRight(width)} {ColumnOf(field)}"));
        text.Append("""

            ) ENGINE = ReplacingMergeTree
            PARTITION BY toYYYYMMDD(timestamp)
            ORDER BY (event_dataset, timestamp, event_id)
            TTL toDateTime(timestamp) + INTERVAL 14 DAY;

            CREATE MATERIALIZED VIEW podnet_flows_reader TO podnet_flows AS SELECT

            """);
        text.AppendJoin(",\n", fields.Select(field => $"  {Read(field)} AS {NameOf(field)}"));
        text.Append("""

            FROM podnet_flows_topic
            WHERE isValidJSON(line) AND JSONExtractString(line, 'event', 'id') != '' AND JSONExtractString(line, '@timestamp') != '';
            """);
        return text.ToString();
    }

    /// <summary>The name of a column: the path with underscores, without the sign of @timestamp.</summary>
    private static string NameOf(SchemaField field) => field.Path.TrimStart('@').Replace('.', '_');

    private static string ColumnOf(SchemaField field) => field.IsList ? $"Array({ValueOf(field.Type)})"
        : field.Type == FieldType.Keyword ? field.Path.EndsWith("id", StringComparison.Ordinal) ? "String" : "LowCardinality(String)"
        : field.IsRequired && NameOf(field) == Time ? ValueOf(field.Type)
        // A field that records of other kinds do not have is not 0.
        : $"Nullable({ValueOf(field.Type)})";

    private static string ValueOf(FieldType type) => type switch
    {
        FieldType.Integer => "UInt64",
        FieldType.Number => "Float64",
        FieldType.Ip => "IPv6",
        FieldType.Date => "DateTime64(3, 'UTC')",
        _ => "String",
    };

    private static string Read(SchemaField field)
    {
        var path = string.Join(", ", field.Path.Split('.').Select(name => $"'{name}'"));
        var text = $"JSONExtractString(line, {path})";
        return (field.Type, field.IsList) switch
        {
            (FieldType.Ip, true) => $"arrayMap(x -> toIPv6OrDefault(x), JSONExtract(line, {path}, 'Array(String)'))",
            (_, true) => $"JSONExtract(line, {path}, 'Array({ValueOf(field.Type)})')",
            (FieldType.Ip, _) => $"toIPv6OrNull({text})",
            (FieldType.Date, _) when NameOf(field) == Time => $"parseDateTime64BestEffortOrZero({text}, 3, 'UTC')",
            (FieldType.Date, _) => $"parseDateTime64BestEffortOrNull({text}, 3, 'UTC')",
            (FieldType.Keyword, _) => text,
            _ => string.Create(CultureInfo.InvariantCulture, $"JSONExtract(line, {path}, 'Nullable({ValueOf(field.Type)})')"),
        };
    }
}
