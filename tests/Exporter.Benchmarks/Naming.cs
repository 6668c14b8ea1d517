using System.Diagnostics;
using System.Net;
using Exporter.Accounts;
using Exporter.Commands;
using Exporter.Kernel.Tests.Support;
using Exporter.Kubernetes;
using Exporter.Options;
using Exporter.Pods;
using Exporter.State;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Benchmarks;

/// <summary>What it takes to know the pods from Kubernetes.</summary>
internal static class Naming
{
    private const string Node = "worker-1";
    private const int Pods = 500;

    internal static async Task RunAsync()
    {
        Table.Begin("Pods from Kubernetes");
        await MeasureLatencyAsync();
        await MeasureMemoryAsync();
        MeasureGrowth();
    }

    private static Task<ExporterProcess> StartAsync(ApiServer server) =>
        ExporterProcess.StartAsync($"--Kubernetes:Kubeconfig={server.Files.Kubeconfig}", $"--Kubernetes:NodeName={Node}", "--Drain:Interval=00:00:01");

    /// <summary>From the moment in which the API server has the address to the pod's first sample line, looked for without pause.</summary>
    private static async Task MeasureLatencyAsync()
    {
        const int Measured = 200;
        await using var server = await ApiServer.CreateAsync();
        using var exporter = await StartAsync(server);
        var pods = Enumerable.Range(0, Measured).Select(_ => new Pod()).ToList();
        try
        {
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Measured);
            pods.ForEach(pod => pod.Up());
            var times = new List<double>();
            foreach (var (pod, i) in pods.Select((pod, i) => (pod, i)))
            {
                server.Cluster.Add(new("bench", $"pod-{i}") { NodeName = Node, StartTime = DateTimeOffset.UtcNow.AddHours(-1) });
                var started = Stopwatch.GetTimestamp();
                server.Cluster.SetStatus("bench", $"pod-{i}", "Running", $"{pod.Address}");
                while (!(await exporter.GetAsync("/metrics")).Contains($"pod=\"pod-{i}\"", StringComparison.Ordinal))
                {
                }
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
            Table.Row($"event to series name with up to {Measured} pods, median", Table.Median(times), " ms");
            Table.Row($"event to series name with up to {Measured} pods, 99th percentile", Table.Percentile(times, 99), " ms", most: 50);
        }
        finally
        {
            pods.ForEach(pod => pod.Dispose());
        }
    }

    private static async Task MeasureMemoryAsync()
    {
        var empty = await MeasureMemoryAsync(0);
        var full = await MeasureMemoryAsync(Pods);
        Table.Row("resident memory without pods", empty, " MiB");
        Table.Row($"resident memory for {Pods} pods that are listed, changed three times and deleted one by one, beyond that", full - empty, " MiB", most: 8);
    }

    /// <summary>The median of some starts, after every pod has been replaced once.</summary>
    private static async Task<double> MeasureMemoryAsync(int pods)
    {
        var sizes = new List<double>();
        for (var round = 0; round < 5; round++)
        {
            await using var server = await ApiServer.CreateAsync();
            for (var i = 0; i < pods; i++)
            {
                Add(server, i);
            }
            using var exporter = await StartAsync(server);
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_pods"] == pods && samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 1);
            for (var i = 0; i < pods; i++)
            {
                server.Cluster.Delete("bench", $"pod-{i}");
                Add(server, i + pods);
            }
            if (pods > 0)
            {
                await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_pods"] == pods);
            }
            for (var scrape = 0; scrape < 100; scrape++)
            {
                await exporter.GetAsync("/metrics");
            }
            sizes.Add(Footprint.ResidentKilobytes(exporter.Id) / 1024.0);
        }
        return Table.Median(sizes);
    }

    private static void Add(ApiServer server, int i)
    {
        server.Cluster.Add(new("bench", $"pod-{i}") { NodeName = Node, Labels = new Dictionary<string, string> { ["app"] = "bench" } });
        server.Cluster.SetStatus("bench", $"pod-{i}", "Pending");
        server.Cluster.SetStatus("bench", $"pod-{i}", "Running", Address(i));
    }

    private static string Address(int i) => $"10.{i / 65536 % 256}.{i / 256 % 256}.{i % 256}";

    /// <summary>What is kept of pods that are gone, with their interfaces and series, each given the address of one before.</summary>
    private static void MeasureGrowth()
    {
        const int Lifecycles = 10_000;
        var options = ExporterOptions.Read(new OptionReader(new ConfigurationBuilder()
            .AddInMemoryCollection([new("Metrics:Retention", "00:00:00"), new("Identity:HoldFor", "00:00:00")]).Build()));
        var factory = Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry());
        var labels = options.CreateLabels();
        var ledger = Ledger.Open(null);
        var metrics = new PodAccounts(new(factory, ledger, EverySignal.Totals), TimeProvider.System, labels, options.Metrics, options.CreatePlan(), ledger, NullLogger<PodAccounts>.Instance);
        var store = new PodStore(TimeProvider.System, options.Identity.HoldFor);
        var source = new KubernetesPodSource(store, labels, TimeProvider.System, DateTimeOffset.MinValue);
        store.SetCurrent(true);
        var generation = 0;
        Live(1000);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        Live(Lifecycles);
        Table.Row($"memory kept after {Lifecycles} more pods have come and gone", (GC.GetTotalMemory(forceFullCollection: true) - before) / 1024.0, " KiB", most: 64);

        void Live(int lives)
        {
            for (var i = 0; i < lives; i++)
            {
                var number = ++generation;
                var document = new PodDocument
                {
                    Metadata = new() { Uid = $"{number}", Namespace = "bench", Name = $"pod-{number}" },
                    Status = new() { Phase = "Running", PodIP = Address(number % Pods), StartTime = DateTimeOffset.UtcNow },
                };
                var owner = new PodInterface(new(number, $"veth{number}", "veth", 0, 2, 1), number, DateTimeOffset.UtcNow) { Addresses = [IPAddress.Parse(Address(number % Pods))] };
                store.Set(document);
                source.TakeChanges();
                var counts = metrics.Acquire(source.Identify(owner) ?? throw new InvalidOperationException("The pod was not found."));
                owner.GoneAt = DateTimeOffset.UtcNow;
                store.Remove(document);
                store.RemoveExpired();
                metrics.Release(counts);
                source.Forget(owner);
                metrics.Settle();
            }
        }
    }
}
