namespace Exporter.Bpf;

/// <summary>The maps of an object that belong together: they are pinned, found again and drained as one set.</summary>
/// <param name="Kind">The beginning of the set's pins' names; no two sets share it.</param>
/// <param name="Layout">The counters of its values, and the settings that it is made with.</param>
/// <param name="Maps">The names of its maps in the object.</param>
/// <param name="MaxEntries">How many entries some of them have, by their names; the others have as many as in the object.</param>
public sealed record MapSetPlan(string Kind, MapLayout Layout, IReadOnlyList<string> Maps, IReadOnlyDictionary<string, int> MaxEntries);
