using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.State;
using Prometheus;

namespace Exporter.Programs;

/// <summary>One of the BPF objects, and what became of attempts to replace it. Immutable.</summary>
/// <param name="Source">The file that it is from; null: it is the one that is built in.</param>
/// <param name="ReplacedAt">Null: never.</param>
/// <param name="Refusal">Why the last one was refused, with the verifier's log where there is one; null: none was, since the last replacement.</param>
/// <param name="Replacements">How often it was replaced.</param>
/// <param name="Refusals">How often another was refused.</param>
internal sealed record ObjectStatus(
    string Name, string? Source = null, DateTimeOffset? ReplacedAt = null, string? Refusal = null, DateTimeOffset? RefusedAt = null, int Replacements = 0, int Refusals = 0);

/// <summary>What is loaded of each object, for whoever asks. Written by the loop that replaces them.</summary>
internal sealed class ProgramObjects
{
    private readonly Counter _replacements;
    private ObjectStatus[] _status = [new(PodTrafficPrograms.ObjectName), new(TcpHandshakePrograms.ObjectName)];

    internal ProgramObjects(BpfOptions options, IMetricFactory metrics)
    {
        Directory = new(options);
        _replacements = ExporterFamilies.Replacements.CreateCounter(metrics);
        foreach (var status in _status)
        {
            Show(status);
        }
    }

    /// <summary>What is there to replace them; remembers what it has offered.</summary>
    internal ObjectDirectory Directory { get; }

    internal IReadOnlyList<ObjectStatus> Status => Volatile.Read(ref _status);

    internal void SetReplaced(string name, string source, DateTimeOffset now)
    {
        Set(name, status => status with { Source = source, ReplacedAt = now, Refusal = null, RefusedAt = null, Replacements = status.Replacements + 1 });
    }

    internal void SetRefused(string name, string reason, DateTimeOffset now)
    {
        Set(name, status => status with { Refusal = reason, RefusedAt = now, Refusals = status.Refusals + 1 });
    }

    private void Set(string name, Func<ObjectStatus, ObjectStatus> change)
    {
        Volatile.Write(ref _status, [.. _status.Select(status => status.Name == name ? change(status) : status)]);
        Show(_status.First(status => status.Name == name));
    }

    private void Show(ObjectStatus status)
    {
        foreach (var (result, count) in ((string, int)[])[("replaced", status.Replacements), ("refused", status.Refusals)])
        {
            _replacements.WithLabels(status.Name, result).IncTo(count);
            _replacements.WithLabels(status.Name, result).Publish();
        }
    }
}
