using Exporter.Metrics;
using Exporter.Signals;
using Prometheus;

namespace Exporter.Commands;

/// <summary>The family about how programs are attached, which can change while they count.</summary>
internal sealed class HookMetrics(IMetricFactory metrics, IReadOnlyList<Signal> signals)
{
    private static readonly HookKind InterfaceHooks = new("traffic", ": tcx, clsact");

    private readonly Gauge _family = FamilyOf(signals).CreateGauge(metrics);
    private readonly HashSet<(string Kind, string Hook)> _shown = [];
    private readonly HashSet<(string Kind, string Hook)> _current = [];

    /// <summary>Shows the hooks that are in use now, and no other.</summary>
    /// <param name="interfaces">How programs are attached to the interfaces of pods.</param>
    internal void Show(string interfaces, IEnumerable<(string Kind, string Hook)> others)
    {
        _current.Clear();
        _current.Add((InterfaceHooks.Kind, interfaces));
        _current.UnionWith(others);
        if (_current.SetEquals(_shown))
        {
            return;
        }
        foreach (var (kind, hook) in _shown.Except(_current).ToList())
        {
            _family.RemoveLabelled(kind, hook);
        }
        foreach (var (kind, hook) in _current)
        {
            _family.WithLabels(kind, hook).Set(1);
        }
        _shown.Clear();
        _shown.UnionWith(_current);
    }

    internal static MetricDefinition FamilyOf(IReadOnlyList<Signal> signals)
    {
        IReadOnlyList<HookKind> kinds = [InterfaceHooks, .. signals.SelectMany(signal => signal.HookKinds)];
        return new(
            MetricType.Gauge,
            "podnet_exporter_hook_info",
            "1",
            "Always 1; the label hook is how programs of this kind are attached.",
            new("kind", [.. kinds.Select(kind => kind.Kind)]),
            new("hook"))
        {
            Query = "count by (kind, hook) (podnet_exporter_hook_info)",
            Details = $"For {string.Join("; for ", kinds.Select(kind => $"{kind.Kind}{kind.Values}"))}.",
        };
    }
}
