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

    /// <summary>FNV-1a of the text.</summary>
    public ulong Digest
    {
        get
        {
            const ulong OffsetBasis = 14695981039346656037, Prime = 1099511628211;
            return Text.Aggregate(OffsetBasis, (hash, character) => unchecked((hash ^ character) * Prime));
        }
    }

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
