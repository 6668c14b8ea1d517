namespace Exporter.Bpf;

/// <summary>The names of the maps of a pair in an object, all of which begin with the name of the pair.</summary>
internal static class PairNames
{
    /// <summary>The array of maps with the active one.</summary>
    internal static string Slot(string pair) => $"{pair}_active";

    internal static string One(string pair) => $"{pair}_a";

    internal static string Other(string pair) => $"{pair}_b";
}
