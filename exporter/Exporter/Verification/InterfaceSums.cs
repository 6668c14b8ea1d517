namespace Exporter.Verification;

/// <summary>An interface, and the pod that its records name.</summary>
/// <param name="Namespace">Null: the records name no pod.</param>
internal readonly record struct InterfaceKey(string Node, string? Namespace, string? Pod, string Interface, string InterfaceId);

/// <summary>The sums of an interface's records, each record once.</summary>
internal sealed class InterfaceSums
{
    private readonly SortedDictionary<string, PodCounts> _rest = new(StringComparer.Ordinal);

    internal PodCounts Flows { get; private set; }

    /// <summary>By reason.</summary>
    internal IReadOnlyDictionary<string, PodCounts> Rest => _rest;

    /// <summary>Flows and rest: as much as the interface's counters.</summary>
    internal PodCounts Total => _rest.Values.Aggregate(Flows, (sum, counts) => sum + counts);

    internal void Add(RecordReader record)
    {
        if (record.Dataset == Dataset.Flow)
        {
            Flows += record.PodCounts;
            return;
        }
        var reason = record.Text(RecordField.RestReason)!;
        _rest[reason] = _rest.GetValueOrDefault(reason) + record.PodCounts;
    }
}
