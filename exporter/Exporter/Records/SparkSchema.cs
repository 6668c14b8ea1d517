namespace Exporter.Records;

/// <summary>podnet-exporter flows schema --for=spark: the schema of a record as Spark's from_json and spark.read.schema take it.</summary>
internal static class SparkSchema
{
    internal static string Write() => string.Join(",\n", FieldNode.Nest(SchemaField.OfRecords).Select(node => $"`{node.Name}` {TypeOf(node)}"));

    private static string TypeOf(FieldNode node) => node.Field is not { } field
        ? $"STRUCT<{string.Join(", ", node.Members.Select(member => $"`{member.Name}`: {TypeOf(member)}"))}>"
        : field.IsList ? $"ARRAY<{TypeOf(field.Type)}>" : TypeOf(field.Type);

    private static string TypeOf(FieldType type) => type switch
    {
        FieldType.Integer => "BIGINT",
        FieldType.Number => "DOUBLE",
        FieldType.Date => "TIMESTAMP",
        _ => "STRING",
    };
}
