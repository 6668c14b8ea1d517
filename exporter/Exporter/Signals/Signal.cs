using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Edges;
using Exporter.Metrics;
using Exporter.Peers;
using Exporter.State;

namespace Exporter.Signals;

/// <summary>
/// One signal with one set of options: its rows, how they are shown, and how its programs are loaded. The room of a signal defines it;
/// everything else knows signals by this type alone. Immutable.
/// </summary>
internal abstract class Signal
{
    /// <summary>Whether its options want it; else it loads nothing, and no room is set aside for it in the ledger.</summary>
    internal virtual bool IsOn => true;

    /// <summary>The counters of its rows. Their name is the signal's, in metrics, pins and the ledger.</summary>
    internal abstract RowFields Fields { get; }

    /// <summary>How its rows are added up where they have no series of their own.</summary>
    internal abstract SignalTotals Totals { get; }

    /// <summary>The columns that its rows are shown as with these options.</summary>
    internal abstract SignalColumns Columns { get; }

    /// <summary>The columns for the documentation, also where these options want none.</summary>
    internal virtual SignalColumns Documented => Columns;

    /// <summary>The families about the signal itself, such as its losses.</summary>
    internal abstract IReadOnlyList<MetricDefinition> OwnFamilies { get; }

    /// <summary>The maps whose use is shown.</summary>
    internal abstract IReadOnlyList<string> MapNames { get; }

    /// <summary>How its own programs are called by the kernel; <see cref="LoadedSignal.Hooks"/> has the ways that are in use.</summary>
    internal virtual IReadOnlyList<HookKind> HookKinds => [];

    /// <summary>The object with its programs that can be replaced; null: it has no object of its own.</summary>
    internal virtual string? ObjectName => null;

    /// <summary>The options of the edges that it counts; null: it counts none.</summary>
    internal virtual EdgeOptions? Edges => null;

    /// <summary>The classes of addresses that it names peers by; null: it names none, and Services are not followed.</summary>
    internal virtual PeerClasses? PeerClasses => null;

    /// <summary>The maps that it has in the object whose programs see each packet; null: none.</summary>
    internal virtual MapSetPlan? PlanPacketMaps(BpfOptions options) => null;

    /// <summary>Loads its programs and maps, or finds them in objects that are loaded. Called at the start of the process, once, on any thread.</summary>
    /// <exception cref="BpfException">The kernel refused, and the exporter is of no use without this signal.</exception>
    internal abstract LoadedSignal Load(LoadContext context);
}
