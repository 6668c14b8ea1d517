using System.Globalization;
using System.Text.RegularExpressions;

namespace Exporter.Engine.Tests.Golden;

/// <summary>A record of the topic. A line of a file is its value; a record without a value is in no file.</summary>
/// <param name="Appended">When the topic has it.</param>
internal sealed partial record GoldenRecord(DateTimeOffset Appended, string? Key, string? Value)
{
    /// <summary>Its own time; of a message that has none, when the topic has it.</summary>
    internal DateTimeOffset Time => Timestamp().Match(Value ?? "") is { Success: true } found && DateTimeOffset.TryParse(found.Groups[1].Value, CultureInfo.InvariantCulture, out var time) ? time : Appended;

    [GeneratedRegex("\"@timestamp\":\"([^\"]+)\"")]
    private static partial Regex Timestamp();
}
