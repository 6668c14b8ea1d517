namespace Exporter.Records;

/// <summary>A field of records: the one definition that the writer, the schemas and the documentation are made of.</summary>
/// <param name="Path">The names of the objects that it is in, and its own, with dots between.</param>
/// <param name="Unit">Empty: it has none.</param>
/// <param name="Description">One sentence.</param>
/// <param name="Datasets">The kinds of records that have it.</param>
/// <param name="Write">Writes the value by one call, or none where the record does not have the field.</param>
internal sealed record RecordField(
    string Path, FieldType Type, string Unit, string Description, IReadOnlyList<RecordDataset> Datasets, Action<RecordView, FieldWriter> Write)
{
    /// <summary>Whether every record of its datasets has it.</summary>
    internal bool IsRequired { get; init; }

    /// <summary>Whether it has a list of values, at least one.</summary>
    internal bool IsList { get; init; }

    /// <summary>All values that it can have; empty where these are not known beforehand.</summary>
    internal IReadOnlyList<string> Values { get; init; } = [];

    /// <summary>Null: none but the largest number of 64 bits.</summary>
    internal ulong? Maximum { get; init; }

    /// <summary>A regular expression that its values match (ECMA-262); null: none is known.</summary>
    internal string? Pattern { get; init; }

    internal bool IsIn(RecordDataset dataset) => Datasets.Contains(dataset);
}
