using System.Text.Json;

namespace Exporter.Records;

/// <summary>An object of a record's JSON. There is one of each.</summary>
/// <param name="parent">Null: the record itself.</param>
internal sealed class FieldObject(FieldObject? parent, JsonEncodedText name)
{
    internal FieldObject? Parent { get; } = parent;

    internal JsonEncodedText Name { get; } = name;

    /// <summary>1 for an object of the record itself.</summary>
    internal int Depth { get; } = 1 + (parent?.Depth ?? 0);
}
