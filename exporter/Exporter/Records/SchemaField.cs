namespace Exporter.Records;

/// <summary>A field as the schemas of engines need it: of records, or of the jobs' results.</summary>
/// <param name="Path">As of <see cref="RecordField"/>.</param>
internal sealed record SchemaField(string Path, FieldType Type, bool IsList = false, bool IsRequired = false)
{
    /// <summary>The fields of records of any kind, in their order.</summary>
    internal static IReadOnlyList<SchemaField> OfRecords => [.. RecordFields.All.Select(Of)];

    internal static SchemaField Of(RecordField field) => new(field.Path, field.Type, field.IsList, field.IsRequired);
}
