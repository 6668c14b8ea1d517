namespace Exporter.Signals.Flows;

/// <summary>
/// Compares the numbers of slots by the keys of their flows. A set of numbers then finds a flow by its key, and takes a third of the memory of a dictionary that
/// has the keys once more. A slot in such a set keeps its key.
/// </summary>
internal sealed class SlotKeys(FlowSlots slots) : IEqualityComparer<int>, IAlternateEqualityComparer<FlowKey, int>
{
    public bool Equals(int x, int y) => slots[x].Key == slots[y].Key;

    public int GetHashCode(int number) => slots[number].Key.GetHashCode();

    public bool Equals(FlowKey alternate, int other) => alternate == slots[other].Key;

    public int GetHashCode(FlowKey alternate) => alternate.GetHashCode();

    /// <summary>A key has no number before it has a slot.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public int Create(FlowKey alternate) => throw new NotSupportedException();
}
