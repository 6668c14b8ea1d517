using Exporter.Bpf;
using Exporter.Metrics;
using Prometheus;

namespace Exporter.Programs;

/// <summary>One of the BPF objects, and what became of attempts to replace it. Immutable.</summary>
/// <param name="Source">The file that it is from; null: it is the one that is built in.</param>
/// <param name="ReplacedAt">Null: never.</param>
/// <param name="Refusal">Why the last one was refused, with the verifier's log where there is one; null: none was, since the last replacement.</param>
internal sealed record ObjectStatus(string Name, string? Source, DateTimeOffset? ReplacedAt, string? Refusal, DateTimeOffset? RefusedAt);

/// <summary>What is loaded of each object, for whoever asks. Written by the loop that replaces them.</summary>
internal sealed class ProgramObjects
{
    internal const string Replaced = "replaced";
    internal const string Refused = "refused";

    private readonly Counter _replacements;
    private ObjectStatus[] _status = [new(PodTrafficPrograms.ObjectName, null, null, null, null), new(TcpHandshakePrograms.ObjectName, null, null, null, null)];

    public ProgramObjects(IMetricFactory metrics)
    {
        _replacements = ExporterFamilies.Replacements.CreateCounter(metrics);
        foreach (var status in _status)
        {
            _replacements.WithLabels(status.Name, Replaced).Publish();
            _replacements.WithLabels(status.Name, Refused).Publish();
        }
    }

    internal IReadOnlyList<ObjectStatus> Status => Volatile.Read(ref _status);

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

    private void Set(string name, Func<ObjectStatus, ObjectStatus> change) =>
        Volatile.Write(ref _status, [.. _status.Select(status => status.Name == name ? change(status) : status)]);
}
