namespace Exporter.Engine.Tests.Golden;

/// <summary>A record of the topic. A line of a file is its value; a record without a value is in no file.</summary>
/// <param name="Appended">When the topic has it.</param>
internal sealed record GoldenRecord(DateTimeOffset Appended, string? Key, string? Value);
