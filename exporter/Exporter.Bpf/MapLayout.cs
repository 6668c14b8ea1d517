namespace Exporter.Bpf;

/// <summary>
/// What the values of a map consist of: 64-bit counters, each with a name that keeps its meaning from one version to the next; and what else
/// decides whether a map can be used as it is.
/// </summary>
/// <param name="Settings">What the map was made with, like its number of entries.</param>
/// <param name="Counters">In the order of the value.</param>
public sealed record MapLayout(string Settings, IReadOnlyList<string> Counters)
{
    private const char End = '|';
    private const char Separator = ',';

    public string Text => $"{Settings}{End}{string.Join(Separator, Counters)}";

    public ulong Digest => Bpf.Digest.Of(Text);

    public static MapLayout Parse(string text)
    {
        var end = text.IndexOf(End, StringComparison.Ordinal);
        return new(text[..end], text[(end + 1)..].Split(Separator));
    }

    /// <summary>For each counter of this layout where it is in the other, or -1; null where both are the same.</summary>
    public int[]? Find(MapLayout other) => Counters.SequenceEqual(other.Counters)
        ? null
        : [.. Counters.Select(name => other.Counters.ToList().IndexOf(name))];
}
