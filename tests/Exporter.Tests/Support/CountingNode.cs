using Exporter.Bpf.Contract;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Traffic;
using Microsoft.Extensions.Time.Testing;
using Prometheus;

namespace Exporter.Tests.Support;

/// <summary>
/// Everything from the drained rows to the text of a scrape, as the program has it. A test does the reconciler's part: it says
/// which interfaces there are and whose.
/// </summary>
internal sealed class CountingNode : IDisposable
{
    internal CountingNode(params (string Key, string? Value)[] settings)
    {
        Options = TestOptions.Read(settings);
        Factory = Prometheus.Metrics.WithCustomRegistry(Registry);
        Metrics = new(Factory);
        Pods = new(Factory, Time, Options.Metrics, Options.Handshake);
        Reader = new(Source, Table, Metrics, Time, Options.Identity);
    }

    internal static PodLabels Web { get; } = new("shop", "web");

    internal static PodLabels Database { get; } = new("shop", "database");

    internal ExporterOptions Options { get; }

    internal FakeTimeProvider Time { get; } = new();

    internal CollectorRegistry Registry { get; } = Prometheus.Metrics.NewCustomRegistry();

    internal IMetricFactory Factory { get; }

    internal ExporterMetrics Metrics { get; }

    internal PodMetrics Pods { get; }

    internal PodTable Table { get; } = new();

    internal FakeTrafficSource Source { get; } = new();

    internal TrafficReader Reader { get; }

    public void Dispose() => Source.Dispose();

    /// <summary>An interface appears; without a pod it is not known yet whose it is.</summary>
    internal PodInterface Appear(int ifindex, long generation, PodLabels? pod = null) =>
        Publish(new(ifindex, generation, $"veth{ifindex}") { Series = pod is { } known ? Acquire(known) : null });

    /// <summary>It becomes known whose interface it is.</summary>
    internal void Identify(int ifindex, PodLabels pod) => Table.Current[ifindex].Series = Acquire(pod);

    /// <summary>An interface is gone and forgotten.</summary>
    internal void Forget(int ifindex)
    {
        if (Table.Current[ifindex].Series is { } series)
        {
            Pods.Release(series);
        }
        Table.Current = Table.Current.Remove(ifindex);
    }

    /// <summary>An interface had traffic, and it is drained.</summary>
    internal void Count(int ifindex, TrafficValue traffic)
    {
        Source.Put(ifindex, traffic);
        Reader.Drain();
    }

    internal Task<Exposition> ScrapeAsync() => Exposition.OfAsync(Registry);

    private PodSeries Acquire(PodLabels pod) => Pods.Acquire(new(pod.Namespace, pod.Name));

    private PodInterface Publish(PodInterface entry)
    {
        Table.Current = Table.Current.SetItem(entry.Ifindex, entry);
        return entry;
    }
}
