namespace Exporter.Bpf;

/// <summary>The names of the maps of a pair in an object, all of which begin with the name of the pair.</summary>
internal static class PairNames
{
    private const string SlotEnd = "_active";

    /// <summary>The array of maps with the active one.</summary>
    internal static string Slot(string pair) => $"{pair}{SlotEnd}";

    /// <summary>The name of the pair whose slot has this name; null: it is not a slot.</summary>
    internal static string? FindPair(string map) => map.EndsWith(SlotEnd, StringComparison.Ordinal) ? map[..^SlotEnd.Length] : null;

    internal static string One(string pair) => $"{pair}_a";

    internal static string Other(string pair) => $"{pair}_b";
}
