using System.Runtime.InteropServices;

namespace Exporter.State;

/// <summary>The map of a pair whose content is in the ledger; the pair is known by the id of its slot.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct CommittedMap(int Pair, int Map);
