using System.Text.Json;

namespace Exporter;

/// <summary>Reasons of exceptions for people who have not written the program.</summary>
internal static class PlainWords
{
    /// <summary>Parts that .NET adds behind a reason: fields and positions in JSON, counted from 0, and names of its own parameters.</summary>
    private static readonly string[] Additions = [" Path: ", " LineNumber: ", " (Parameter '"];

    /// <summary>The reason without these, and without a full stop. For JSON it begins with the place.</summary>
    internal static string Reason(Exception failure)
    {
        var reason = failure.Message;
        foreach (var addition in Additions)
        {
            var end = reason.IndexOf(addition, StringComparison.Ordinal);
            reason = end < 0 ? reason : reason[..end];
        }
        reason = reason.TrimEnd('.', ' ');
        return failure is JsonException json ? $"{Place(json)}: {reason}" : reason;
    }

    /// <summary>Line and column as editors count them, and the field where it is known.</summary>
    internal static string Place(JsonException failure)
    {
        var field = failure.Path?.TrimStart('$', '.') is { Length: > 0 } path ? $" at {path}" : "";
        return FormattableString.Invariant($"line {failure.LineNumber + 1}, column {failure.BytePositionInLine + 1}{field}");
    }
}
