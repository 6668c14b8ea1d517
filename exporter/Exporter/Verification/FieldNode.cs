using System.Text;
using System.Text.Json;

namespace Exporter.Verification;

/// <summary>A name in the tree of fields: an object with further names, or a field.</summary>
internal sealed class FieldNode
{
    private readonly byte[] _name;
    private readonly List<FieldNode> _children = [];

    private FieldNode(string name) => _name = Encoding.UTF8.GetBytes(name);

    /// <summary>Null: an object.</summary>
    internal RecordField? Field { get; private set; }

    /// <returns>The root of a tree that has these fields and no others.</returns>
    internal static FieldNode Create(IEnumerable<RecordField> fields)
    {
        var root = new FieldNode("");
        foreach (var field in fields)
        {
            var node = root;
            foreach (var name in RecordFields.PathOf(field).Split('.'))
            {
                node = node.Open(name);
            }
            node.Field = field;
        }
        return root;
    }

    /// <summary>Finds the property that the reader is at; null: it is not in the tree.</summary>
    internal FieldNode? Find(ref Utf8JsonReader reader)
    {
        foreach (var child in _children)
        {
            if (reader.ValueTextEquals(child._name))
            {
                return child;
            }
        }
        return null;
    }

    private FieldNode Open(string name)
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        if (_children.Find(child => child._name.AsSpan().SequenceEqual(bytes)) is not { } found)
        {
            _children.Add(found = new(name));
        }
        return found;
    }
}
