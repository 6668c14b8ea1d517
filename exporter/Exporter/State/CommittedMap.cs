using System.Runtime.InteropServices;

namespace Exporter.State;

/// <summary>Of a pair of maps, known by the id of its slot, the one whose content is in the ledger.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct CommittedMap(int Pair, int Map);
