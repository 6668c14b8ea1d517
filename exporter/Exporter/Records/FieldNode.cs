namespace Exporter.Records;

/// <summary>A field, or an object of fields, as nested schemas list them.</summary>
/// <param name="Name">The last part of the path.</param>
/// <param name="Field">Null: an object.</param>
/// <param name="Members">Of an object, in the order of their first fields.</param>
internal sealed record FieldNode(string Name, SchemaField? Field, IReadOnlyList<FieldNode> Members)
{
    /// <summary>Nests fields by the parts of their paths.</summary>
    internal static IReadOnlyList<FieldNode> Nest(IEnumerable<SchemaField> fields) => Nest(fields, 0);

    /// <param name="from">Where the names of the members begin in the paths.</param>
    private static FieldNode[] Nest(IEnumerable<SchemaField> fields, int from) =>
    [
        .. fields.GroupBy(field => field.Path[from..].Split('.')[0]).Select(member =>
            member.FirstOrDefault(field => field.Path.Length == from + member.Key.Length) is { } field
                ? new FieldNode(member.Key, field, [])
                : new FieldNode(member.Key, null, Nest(member, from + member.Key.Length + 1))),
    ];
}
