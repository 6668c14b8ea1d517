namespace Exporter.Records;

/// <summary>The fields of records. Within a schema number fields are only added.</summary>
internal static class RecordFields
{
    internal const int Schema = 1;

    /// <summary>In the order in which they are written: fields of one object follow each other.</summary>
    internal static readonly IReadOnlyList<RecordField> All =
    [
        .. EventFields.OfEvent,
        .. FlowFields.OfNetwork,
        .. EventFields.OfRest,
        .. EndFields.Of(isSource: true),
        .. EndFields.Of(isSource: false),
        .. FlowFields.OfTcp,
        .. FlowFields.OfIcmp,
        .. FlowFields.OfFlow,
        .. EventFields.OfInterval,
        .. EventFields.OfIdentity,
        .. EventFields.OfObserver,
    ];

    /// <summary>The required fields, and those that are named, each by its path or the path of an object that it is in.</summary>
    /// <exception cref="FormatException">A path names no field; the message continues a sentence that begins with the option.</exception>
    internal static IReadOnlyList<RecordField> Choose(IReadOnlyList<string> paths) =>
        paths.FirstOrDefault(path => !All.Any(field => IsNamed(field, path))) is { } wrong
            ? throw new FormatException($"has '{wrong}', which is neither a field of records nor an object of them; 'podnet-exporter flows schema' lists them")
            : [.. All.Where(field => field.IsRequired || paths.Any(path => IsNamed(field, path)))];

    private static bool IsNamed(RecordField field, string path) =>
        field.Path == path || (field.Path.StartsWith(path, StringComparison.Ordinal) && field.Path[path.Length] == '.');
}
