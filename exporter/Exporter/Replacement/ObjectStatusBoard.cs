using Exporter.Metrics;
using Exporter.Signals;
using Exporter.Signals.Objects;
using Exporter.State;
using Prometheus;

namespace Exporter.Replacement;

/// <summary>One of the BPF objects, and what became of attempts to replace it. Immutable.</summary>
/// <param name="Source">The file that it is from; null: it is the one that is built in.</param>
/// <param name="ReplacedAt">Null: never.</param>
/// <param name="Refusal">Why the last one was refused, with the verifier's log where there is one; null: none was, since the last replacement.</param>
internal sealed record ObjectStatus(string Name, string? Source = null, DateTimeOffset? ReplacedAt = null, string? Refusal = null, DateTimeOffset? RefusedAt = null);

/// <summary>The loaded file of each object, for requests. Written by the loop that replaces them.</summary>
internal sealed class ObjectStatusBoard
{
    private const string Replaced = "replaced";
    private const string Refused = "refused";

    private readonly Counter _replacements;
    private ObjectStatus[] _status;

    /// <param name="signals">Their objects, and the one that they share.</param>
    internal ObjectStatusBoard(BpfOptions options, IMetricFactory metrics, IReadOnlyList<Signal> signals)
    {
        Directory = new(options);
        _status = [.. NamesOf(signals).Select(name => new ObjectStatus(name))];
        _replacements = ReplacementsOf(signals).CreateCounter(metrics);
        foreach (var status in _status)
        {
            _replacements.WithLabels(status.Name, Replaced).Publish();
            _replacements.WithLabels(status.Name, Refused).Publish();
        }
    }

    internal static IReadOnlyList<MetricDefinition> FamiliesOf(IReadOnlyList<Signal> signals) => [ReplacementsOf(signals)];

    /// <summary>The directory of new objects; remembers the ones that it has offered.</summary>
    internal ObjectDirectory Directory { get; }

    internal IReadOnlyList<ObjectStatus> Status => Volatile.Read(ref _status);

    /// <summary>
    /// Forgets what became of objects that are not loaded: when options want them again the built-in ones are loaded, and their files are offered again. Called by
    /// each session, before it looks for files.
    /// </summary>
    internal void ForgetUnloaded(IReadOnlyList<IReplaceable> loaded)
    {
        foreach (var name in Status.Select(status => status.Name).Where(name => !loaded.Any(one => one.Name == name && one.Programs.Count > 0)))
        {
            Directory.Forget(name);
            Set(name, static status => new(status.Name));
        }
    }

    internal void SetReplaced(string name, string source, DateTimeOffset now)
    {
        Set(name, status => status with { Source = source, ReplacedAt = now, Refusal = null, RefusedAt = null });
        _replacements.WithLabels(name, Replaced).Inc();
    }

    internal void SetRefused(string name, string reason, DateTimeOffset now)
    {
        Set(name, status => status with { Refusal = reason, RefusedAt = now });
        _replacements.WithLabels(name, Refused).Inc();
    }

    private static IEnumerable<string> NamesOf(IReadOnlyList<Signal> signals) => signals.Select(signal => signal.ObjectName).OfType<string>().Prepend(PacketObject.ObjectName);

    private static MetricDefinition ReplacementsOf(IReadOnlyList<Signal> signals) => new(
        MetricType.Counter,
        "podnet_exporter_bpf_replacements_total",
        "objects",
        "BPF objects from Bpf:ObjectDirectory that replaced the running ones, or were refused.",
        new MetricLabel("object", [.. NamesOf(signals)]),
        new MetricLabel("result", Replaced, Refused))
    {
        Query = "increase(podnet_exporter_bpf_replacements_total{result=\"refused\"}[1h]) > 0",
        Details = "refused: the running programs stay; the log and /api/v1/bpf have the reason.",
    };

    private void Set(string name, Func<ObjectStatus, ObjectStatus> change) =>
        Volatile.Write(ref _status, [.. _status.Select(status => status.Name == name ? change(status) : status)]);
}
