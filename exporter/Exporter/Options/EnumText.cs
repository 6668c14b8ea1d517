namespace Exporter.Options;

/// <summary>The spelling of enums in options, labels, documents and logs: their names in lower case.</summary>
internal static class EnumText
{
    internal static string Lower<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
