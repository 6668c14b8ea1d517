using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Exporter.Options;

namespace Exporter.Records;

/// <summary>Texts of records, escaped beforehand.</summary>
internal static class RecordText
{
    /// <summary>Escapes no more than JSON demands: quotes, backslashes, control characters and halves of characters. Records are not parts of HTML.</summary>
    internal static readonly JavaScriptEncoder Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    /// <summary>Any text is possible: half a character becomes U+FFFD, which a text of JSON cannot have.</summary>
    internal static JsonEncodedText Encode(string text) => JsonEncodedText.Encode(Encoding.UTF8.GetBytes(text), Encoder);

    /// <summary>The name of a value in records: lower case, with underscores between words.</summary>
    internal static string Name<T>(T value)
        where T : struct, Enum => EnumText.Lower(value).Replace('-', '_');

    /// <summary>The value of event.dataset.</summary>
    internal static string NameOf(RecordDataset dataset) => $"podnet.{Name(dataset)}";

    /// <summary>The names of all values of an enum whose values are 0, 1, 2 and so on, by value.</summary>
    internal static JsonEncodedText[] Names<T>()
        where T : struct, Enum => [.. Enum.GetValues<T>().Select(value => Encode(Name(value)))];
}
