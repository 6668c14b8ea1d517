using System.Text;
using Exporter.Bpf;

namespace Exporter.Pods;

/// <summary>Values of labels, in the order of their names.</summary>
internal sealed class LabelValues(params string[] values) : IEquatable<LabelValues>
{
    /// <summary>As long as the name of a pod can be.</summary>
    private const int MaxLength = 253;

    /// <summary>The beginning of values that only the exporter gives: __host__, __other__.</summary>
    private const string Reserved = "__";

    private readonly string[] _values = values;

    internal IReadOnlyList<string> Values => _values;

    /// <summary>
    /// The same, fit to be shown whatever somebody wrote there: none is longer than can be borne, none has characters that would break a line
    /// of text, and none passes for a value that has a meaning of its own. Those that differ still differ.
    /// </summary>
    internal LabelValues MakeSafe() => new([.. _values.Select(MakeSafe)]);

    public bool Equals(LabelValues? other) => other is not null && _values.AsSpan().SequenceEqual(other._values);

    public override bool Equals(object? obj) => Equals(obj as LabelValues);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var value in _values)
        {
            hash.Add(value, StringComparer.Ordinal);
        }
        return hash.ToHashCode();
    }

    /// <summary>The same of one value.</summary>
    internal static string MakeSafe(string value)
    {
        if (value.StartsWith(Reserved, StringComparison.Ordinal))
        {
            value = Reserved[0] + value;
        }
        return value.Length <= MaxLength && !value.Any(char.IsControl) && IsWellFormed(value) ? value : Shorten(value);
    }

    private static bool IsWellFormed(string value)
    {
        foreach (var rune in value.EnumerateRunes())
        {
            // Half of a surrogate pair comes out so.
            if (rune == Rune.ReplacementChar)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>The beginning of the value, and a digest of all of it.</summary>
    private static string Shorten(string value)
    {
        var digest = $"~{Fnv1a.Of(value):x16}";
        var text = new StringBuilder();
        foreach (var rune in value.EnumerateRunes())
        {
            if (text.Length + rune.Utf16SequenceLength > MaxLength - digest.Length)
            {
                break;
            }
            text.Append(Rune.IsControl(rune) || rune == Rune.ReplacementChar ? "_" : rune.ToString());
        }
        return text.Append(digest).ToString();
    }
}
