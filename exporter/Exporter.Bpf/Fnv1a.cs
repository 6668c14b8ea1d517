namespace Exporter.Bpf;

/// <summary>A digest by which texts differ, and that needs no library for cryptography.</summary>
public static class Fnv1a
{
    /// <summary>FNV-1a over the text's characters.</summary>
    public static ulong Of(string text)
    {
        const ulong OffsetBasis = 14695981039346656037, Prime = 1099511628211;
        return text.Aggregate(OffsetBasis, static (hash, character) => unchecked((hash ^ character) * Prime));
    }
}
