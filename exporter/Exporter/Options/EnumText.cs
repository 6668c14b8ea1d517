namespace Exporter.Options;

/// <summary>The spelling of enums in options, labels, documents and logs: their names in lower case, with hyphens between words.</summary>
internal static class EnumText
{
    internal static string Lower<T>(T value)
        where T : struct, Enum => string.Concat(value.ToString().Select((letter, at) => at > 0 && char.IsAsciiLetterUpper(letter) ? $"-{char.ToLowerInvariant(letter)}" : $"{char.ToLowerInvariant(letter)}"));
}
