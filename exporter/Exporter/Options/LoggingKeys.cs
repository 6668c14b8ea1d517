namespace Exporter.Options;

/// <summary>
/// The keys of the section Logging, which the framework reads itself. It ends a start at a level that it does not have, and takes no notice of a key that it does not
/// know.
/// </summary>
internal static class LoggingKeys
{
    internal const string Section = "Logging";

    private const string Levels = "Logging:LogLevel:";
    private const string ConsoleLevels = "Logging:Console:LogLevel:";
    private const string Threshold = "Logging:Console:LogToStandardErrorThreshold";

    internal static bool IsIn(string key) => key.StartsWith(Section + ":", StringComparison.OrdinalIgnoreCase);

    /// <returns>The error, a line that names the key; null: there is none.</returns>
    internal static string? FindError(string key, string value)
    {
        var isThreshold = key.Equals(Threshold, StringComparison.OrdinalIgnoreCase);
        if (!isThreshold && !IsCategoryOf(Levels, key) && !IsCategoryOf(ConsoleLevels, key))
        {
            return $"{key}: there is no such option. Of the section {Section} there are {Levels}CATEGORY, {ConsoleLevels}CATEGORY and {Threshold}.";
        }
        // An empty level of a category is as none.
        return (value.Length == 0 && !isThreshold) || Enum.GetNames<LogLevel>().Contains(value.Trim(), StringComparer.OrdinalIgnoreCase)
            ? null
            : $"{key}: '{value}' is not one of {string.Join(", ", Enum.GetNames<LogLevel>())}.";
    }

    /// <summary>A category has no colon: the framework would read a part of it as a section.</summary>
    private static bool IsCategoryOf(string levels, string key) =>
        key.StartsWith(levels, StringComparison.OrdinalIgnoreCase) && key.Length > levels.Length && !key.AsSpan(levels.Length).Contains(':');
}
