using System.Text;

namespace Exporter.Records;

/// <summary>podnet-exporter flows schema --for=flink: the table of a topic with records, for Flink SQL 2.</summary>
internal static class FlinkSchema
{
    internal static string Write()
    {
        var text = new StringBuilder("""
            -- A repeat of a record has the same event.id. The watermark is of the earlier one of the node's clock and the broker's, so a node whose clock is ahead makes no other's
            -- records late; the topic needs message.timestamp.type=LogAppendTime.
            CREATE TABLE `flows` (

            """);
        foreach (var node in FieldNode.Nest(SchemaField.OfRecords))
        {
            text.Append("  `").Append(node.Name).Append("` ").Append(TypeOf(node)).Append(",\n");
        }
        text.Append("""
              `appended` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
              WATERMARK FOR `@timestamp` AS LEAST(`@timestamp`, `appended`) - INTERVAL '2' MINUTE
            ) WITH (
              'connector' = 'kafka',
              'topic' = 'podnet.flows',
              'properties.bootstrap.servers' = 'localhost:9092',
              'properties.group.id' = 'podnet',
              'scan.startup.mode' = 'earliest-offset',
              'format' = 'json',
              'json.timestamp-format.standard' = 'ISO-8601',
              'json.ignore-parse-errors' = 'true'
            );
            """);
        return text.ToString();
    }

    private static string TypeOf(FieldNode node) => node.Field is not { } field
        ? $"ROW<{string.Join(", ", node.Members.Select(member => $"`{member.Name}` {TypeOf(member)}"))}>"
        : field.IsList ? $"ARRAY<{TypeOf(field.Type)}>" : TypeOf(field.Type);

    private static string TypeOf(FieldType type) => type switch
    {
        FieldType.Integer => "BIGINT",
        FieldType.Number => "DOUBLE",
        FieldType.Date => "TIMESTAMP_LTZ(3)",
        _ => "STRING",
    };
}
