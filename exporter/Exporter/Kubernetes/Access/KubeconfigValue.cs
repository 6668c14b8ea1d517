using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Exporter.Kubernetes.Access;

/// <summary>
/// A value in a kubeconfig with its place, for messages. Types are as strict as kubectl's: it reads YAML 1.1 as JSON, in which a number or a boolean
/// is not a text.
/// </summary>
/// <param name="place">The path of fields, with names of entries instead of their indexes; empty for the whole document.</param>
/// <param name="node">Null: the field is missing or empty.</param>
internal sealed partial class KubeconfigValue(string file, string place, YamlNode? node)
{
    // https://yaml.org/type/merge.html
    private const string MergeKey = "<<";

    private static readonly string[] True = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
    private static readonly string[] False = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];

    internal string File => file;

    /// <summary>The field and the file, for messages.</summary>
    internal string Description => $"{place} in '{file}'";

    internal bool IsMissing => node is null || IsNull(node);

    /// <exception cref="AccessException">The text is not YAML.</exception>
    internal static KubeconfigValue Parse(string file, byte[] text)
    {
        try
        {
            var stream = new YamlStream();
            stream.Load(new StreamReader(new MemoryStream(text), Encoding.UTF8));
            return new(file, "", stream.Documents.Count > 0 ? stream.Documents[0].RootNode : null);
        }
        catch (YamlException e)
        {
            throw new AccessException($"'{file}' cannot be used: line {e.Start.Line}, column {e.Start.Column}: {e.Message}", e);
        }
    }

    /// <summary>The value of a field; if the field is missing, a value without a node.</summary>
    internal KubeconfigValue this[string field] => Fields().FirstOrDefault(entry => entry.Name == field).Value ?? new(file, PlaceOf(field), null);

    /// <summary>The fields, and the fields of mappings that are merged by the key &lt;&lt;, which own fields override.</summary>
    internal IEnumerable<(string Name, KubeconfigValue Value)> Fields()
    {
        if (IsMissing)
        {
            return [];
        }
        var fields = (node as YamlMappingNode ?? throw Fail("is not a mapping of fields")).Children.Select(child => (Name: $"{child.Key}", child.Value)).ToList();
        var merged = fields.Where(field => field.Name == MergeKey)
            .SelectMany(field => field.Value is YamlSequenceNode list ? list.Children : [field.Value])
            .SelectMany(mapping => new KubeconfigValue(file, place, mapping).Fields());
        return [.. fields.Where(field => field.Name != MergeKey).Select(field => (field.Name, new KubeconfigValue(file, PlaceOf(field.Name), field.Value))), .. merged];
    }

    internal IReadOnlyList<KubeconfigValue> Items() =>
        IsMissing ? []
        : node is YamlSequenceNode sequence ? [.. sequence.Children.Select((child, index) => new KubeconfigValue(file, $"{place}[{index.ToString(CultureInfo.InvariantCulture)}]", child))]
        : throw Fail("is not a list");

    /// <summary>The same value with another place.</summary>
    internal KubeconfigValue At(string other) => new(file, other, node);

    /// <summary>The text; empty if the field is missing.</summary>
    internal string Text() =>
        IsMissing ? ""
        : node is not YamlScalarNode scalar ? throw Fail("is not a text")
        : IsPlain(scalar) && (IsTruth(scalar) || IsNumber(scalar)) ? throw Fail($"is {(IsTruth(scalar) ? "a truth value" : "a number")}, not a text; put it in quotes")
        : scalar.Value ?? "";

    internal IReadOnlyList<string> Texts() => [.. Items().Select(item => item.Text())];

    internal bool Flag() =>
        !IsMissing && (node is YamlScalarNode scalar && IsPlain(scalar) && IsTruth(scalar) ? True.Contains(scalar.Value) : throw Fail("has to be true or false, without quotes"));

    /// <summary>The bytes of a base64 text; null if the field is missing.</summary>
    internal byte[]? Bytes()
    {
        var text = Text().ReplaceLineEndings("");
        if (text.Length == 0)
        {
            return null;
        }
        // Convert.FromBase64String skips blanks, which kubectl refuses.
        var bytes = new byte[text.Length];
        return !text.Contains(' ') && Convert.TryFromBase64String(text, bytes, out var length)
            ? bytes[..length]
            : throw Fail("is not base64; write 'base64 --wrap=0 FILE' of the PEM file, or name the file in the field without '-data'");
    }

    internal AccessException Fail(string problem, Exception? cause = null) =>
        new($"'{file}' cannot be used: {(place.Length == 0 ? "it" : place)} {problem}", cause);

    /// <summary>An absolute path: a relative one is relative to the kubeconfig.</summary>
    internal string Resolve(string path) => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file)) ?? "/", path);

    internal void WriteTo(Utf8JsonWriter writer)
    {
        switch (node)
        {
            case YamlMappingNode:
                writer.WriteStartObject();
                foreach (var (name, value) in Fields())
                {
                    writer.WritePropertyName(name);
                    value.WriteTo(writer);
                }
                writer.WriteEndObject();
                break;
            case YamlSequenceNode:
                writer.WriteStartArray();
                foreach (var item in Items())
                {
                    item.WriteTo(writer);
                }
                writer.WriteEndArray();
                break;
            case YamlScalarNode scalar when !IsMissing:
                if (IsPlain(scalar) && IsTruth(scalar))
                {
                    writer.WriteBooleanValue(Flag());
                }
                else if (IsPlain(scalar) && long.TryParse(scalar.Value, CultureInfo.InvariantCulture, out var whole))
                {
                    writer.WriteNumberValue(whole);
                }
                else if (IsPlain(scalar) && IsNumber(scalar) && double.TryParse(scalar.Value, CultureInfo.InvariantCulture, out var number))
                {
                    writer.WriteNumberValue(number);
                }
                else
                {
                    writer.WriteStringValue(scalar.Value);
                }
                break;
            default:
                writer.WriteNullValue();
                break;
        }
    }

    private static bool IsNull(YamlNode node) => node is YamlScalarNode scalar && IsPlain(scalar) && scalar.Value is null or "" or "~" or "null" or "Null" or "NULL";

    /// <summary>Whether the value's spelling decides its type: it has no quotes and no tag.</summary>
    private static bool IsPlain(YamlScalarNode scalar) => scalar.Style == ScalarStyle.Plain && scalar.Tag.IsEmpty;

    private static bool IsTruth(YamlScalarNode scalar) => True.Contains(scalar.Value) || False.Contains(scalar.Value);

    private static bool IsNumber(YamlScalarNode scalar) => NumberPattern().IsMatch(scalar.Value ?? "");

    private string PlaceOf(string field) => place.Length == 0 ? field : $"{place}.{field}";

    // https://yaml.org/type/int.html and https://yaml.org/type/float.html
    [GeneratedRegex(@"^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[0-9][0-9_]*|(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))$|^\.(nan|NaN|NAN)$", RegexOptions.CultureInvariant)]
    private static partial Regex NumberPattern();
}
