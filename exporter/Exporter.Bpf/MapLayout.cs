using System.Globalization;

namespace Exporter.Bpf;

/// <summary>
/// What the values of a map consist of: 64-bit counters, each with a name that keeps its meaning from one version to the next; and what else
/// decides whether a map can be used as it is.
/// </summary>
/// <param name="Settings">Parameters that the map was made with, like its number of entries.</param>
/// <param name="Counters">Names of the counters, in the order of the value.</param>
public sealed record MapLayout(string Settings, IReadOnlyList<string> Counters)
{
    private const char End = '|';
    private const char Separator = ',';

    public string Text => $"{Settings}{End}{string.Join(Separator, Counters)}";

    public ulong Digest => Fnv1a.Of(Text);

    /// <summary>The digest, as names of pins have it.</summary>
    public string Name => Digest.ToString("x16", CultureInfo.InvariantCulture);

    public static MapLayout Parse(string text) => TryParse(text) ?? throw new FormatException($"'{text}' is not a layout");

    /// <summary>Null without a text, or if the text is not a layout; its <see cref="Name"/> shows whether it is the pin's.</summary>
    public static MapLayout? TryParse(string? text) =>
        text?.IndexOf(End, StringComparison.Ordinal) is >= 0 and var end ? new(text[..end], text[(end + 1)..].Split(Separator)) : null;

    /// <summary>For each counter of this layout where it is in the other, or -1; null where both are the same.</summary>
    public int[]? Find(MapLayout other) => Counters.SequenceEqual(other.Counters)
        ? null
        : [.. Counters.Select(name => other.Counters.ToList().IndexOf(name))];
}
