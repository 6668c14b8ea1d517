using System.Text.Json;

namespace Exporter.Records;

/// <summary>Where a field is in a record's JSON.</summary>
/// <param name="Object">Null: in the record itself.</param>
internal sealed record FieldPlace(RecordField Field, FieldObject? Object, JsonEncodedText Name)
{
    /// <summary>The places of these fields in the same order; fields of one object share it.</summary>
    internal static FieldPlace[] Of(IEnumerable<RecordField> fields)
    {
        var objects = new Dictionary<string, FieldObject>();
        return [.. fields.Select(field => new FieldPlace(field, ObjectOf(field.Path), NameOf(field.Path)))];

        FieldObject? ObjectOf(string path)
        {
            var end = path.LastIndexOf('.');
            if (end < 0)
            {
                return null;
            }
            var name = path[..end];
            if (!objects.TryGetValue(name, out var found))
            {
                objects.Add(name, found = new(ObjectOf(name), NameOf(name)));
            }
            return found;
        }

        static JsonEncodedText NameOf(string path) => RecordText.Encode(path[(path.LastIndexOf('.') + 1)..]);
    }
}
