using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Signals;

namespace Exporter.Kernel.Tests.SocketStates;

/// <summary>A signal that the program has no line for: changes of TCP sockets' states, with a field of each kind.</summary>
/// <param name="observed">A file that gets a line for each row that is observed.</param>
internal sealed class SocketStatesSignal(MetricsOptions metrics, string observed, DrainStep killedAt) : Signal
{
    internal const string Name = "socket_states";

    private static readonly MetricDefinition Changes = Define(MetricType.Counter, "changes_total", "changes", "Changes of states of the pod's TCP sockets.");
    private static readonly MetricDefinition LargestPort = Define(MetricType.Gauge, "largest_port", "port", "Largest local port of the pod's TCP sockets.");
    private static readonly MetricDefinition SmallestPort = Define(MetricType.Gauge, "smallest_port", "port", "Smallest local port of the pod's TCP sockets.");
    private static readonly MetricDefinition LastState = Define(MetricType.Gauge, "last_state", "state", "Latest state of any of the pod's TCP sockets.");
    private static readonly MetricDefinition States = Define(MetricType.Gauge, "states", "bits", "States that the pod's TCP sockets have had, a bit for each.");

    internal override RowFields Fields => SocketStatesValue.Fields;

    internal override SignalTotals Totals { get; } = new(
        SocketStatesValue.Fields,
        [new("socket_changes", "Changes of states of TCP sockets {0}.", new MetricLabel("side", "all"), IsByLabel: false, _ => [SocketStatesValue.Fields.IndexOf("changes")])],
        [Name],
        "in a network namespace whose pod was not identified in time");

    internal override SignalColumns Columns { get; } = new(
        SocketStatesValue.Fields,
        [
            new(metrics.Aggregation, HasTotals: true, IsOfHost: false,
            [
                new(Name, [SocketStatesValue.Fields.IndexOf("changes")],
                [
                    Column(Changes, "changes"), Column(LargestPort, "largest_port"), Column(SmallestPort, "smallest_port"), Column(LastState, "last_state"), Column(States, "states"),
                ]),
            ]),
        ]);

    internal override IReadOnlyList<MetricDefinition> OwnFamilies => [];

    internal override IReadOnlyList<string> MapNames => [Name];

    internal override string ObjectName => Name;

    internal string Observed => observed;

    internal DrainStep KilledAt => killedAt;

    internal static Signal Read(OptionReader reader, MetricsOptions metrics) => new SocketStatesSignal(
        metrics,
        reader.AbsolutePath("SocketStates:Observed", "a path", "Gets a line for each row that is observed; empty: none.", ""),
        reader.Choice("SocketStates:KilledAt", DrainStep.None, "The step of the first drain with rows at which the process is killed."));

    internal override LoadedSignal Load(LoadContext context) => new LoadedSocketStates(context);

    private static FieldColumn Column(MetricDefinition family, string field) => new(family, SocketStatesValue.Fields.IndexOf(field));

    private static MetricDefinition Define(MetricType type, string name, string unit, string help) => new(type, $"podnet_test_socket_{name}", unit, help) { Query = $"podnet_test_socket_{name}" };
}
