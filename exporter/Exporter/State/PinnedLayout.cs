namespace Exporter.State;

/// <summary>Findings and changes of a start in the directory of pins (<see cref="PinnedState.TakeOver"/>).</summary>
/// <param name="HasMoved">The state of an earlier version was moved into the folder of this network namespace.</param>
/// <param name="Removed">Folders that were removed, since their network namespaces are gone.</param>
/// <param name="Undecided">Folders that were kept, since the kernel does not say whether their network namespaces exist.</param>
internal readonly record struct PinnedLayout(bool HasMoved, int Removed, int Undecided);
