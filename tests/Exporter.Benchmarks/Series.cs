using System.Diagnostics;
using Exporter.Accounts;
using Exporter.Bpf.Contract;
using Exporter.Commands;
using Exporter.Kernel.Tests.Support;
using Exporter.Options;
using Exporter.State;
using Exporter.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Benchmarks;

/// <summary>What the pods' series take: to write, and to add to.</summary>
internal static class Series
{
    internal static async Task RunAsync()
    {
        Table.Begin("Series");
        await MeasureScrapeAsync();
        MeasureAdding(pods: 500, maxPods: 1000, "");
        MeasureAdding(pods: 500, maxPods: 100, ", 400 of them folded");
    }

    /// <summary>Received packets of five transports for each of so many pods.</summary>
    private static async Task MeasureScrapeAsync()
    {
        const int Interfaces = 572, Lines = 20 + (5 * 3), Scrapes = 200;
        using var veths = new Veths(Interfaces);
        veths.MakePods();
        using var exporter = await ExporterProcess.StartAsync("--Attach:Hook=clsact", "--Handshake:Hook=off", "--Metrics:MaxSeries=40000", "--Drain:Interval=00:00:01");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Interfaces);
        var empty = await ScrapeAsync(exporter, Scrapes);
        veths.SendFrames(6, 17, 1, 132, 50);
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series"] == Interfaces * Lines);

        var full = await ScrapeAsync(exporter, Scrapes);
        Table.Row($"a scrape of {Interfaces * 20} series over the loopback interface, median", empty, " ms");
        Table.Row($"a scrape of {Interfaces * Lines} series over the loopback interface, median", full, " ms", most: 20);
        Table.Row($"resident memory with {Interfaces * Lines} series, after {2 * Scrapes} scrapes", Footprint.ResidentKilobytes(exporter.Id) / 1024.0, " MiB", most: 48);
    }

    private static async Task<double> ScrapeAsync(ExporterProcess exporter, int times)
    {
        var measured = new List<double>();
        for (var i = 0; i < times; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await exporter.GetAsync("/metrics");
            measured.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        return Table.Median(measured);
    }

    private static void MeasureAdding(int pods, int maxPods, string remark)
    {
        const int Rounds = 200;
        var options = ExporterOptions.Read(new OptionReader(new ConfigurationBuilder().AddInMemoryCollection(
            [new("Metrics:MaxSeries", "100000"), new("Metrics:MaxPods", $"{maxPods}")]).Build()));
        var factory = Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry());
        var labels = options.CreateLabels();
        var ledger = Ledger.Open(null);
        var metrics = new PodAccounts(new(factory, ledger, AllSignals.Totals), TimeProvider.System, labels, options.Metrics, options.CreatePlan(), ledger, NullLogger<PodAccounts>.Instance);
        var counts = Enumerable.Range(0, pods).Select(i => metrics.Acquire(labels.Identify(new("bench", $"pod-{i}")))).ToArray();
        var (traffic, handshakes) = Everything();
        var (measured, allocated) = (new List<double>(Rounds), 0L);
        for (var round = 0; round < Rounds; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            var started = Stopwatch.GetTimestamp();
            foreach (var pod in counts)
            {
                pod.Add(traffic);
                pod.Add(handshakes);
            }
            metrics.Settle();
            measured.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Table.Row($"adding a drain's counts of {pods} pods{remark}, median", Table.Median(measured), " ms", most: 2);
        Table.Row($"allocated by that{remark}", allocated, " bytes", most: 0);
    }

    /// <summary>Three transports both ways, packets of four lengths, handshakes of both sides.</summary>
    private static (TrafficValue Traffic, HandshakeValue Handshakes) Everything()
    {
        var direction = default(TrafficDirection);
        for (var i = 0; i < 3; i++)
        {
            direction.Transports[i] = new(100, 123_456, 120);
        }
        for (var i = 0; i < 4; i++)
        {
            direction.Sizes[i] = new(90, (ulong)(90 * (60 << i)) + 7);
        }
        var role = default(HandshakeRole);
        role.Durations[4] = new(3, 5_000_000);
        role.Durations[6] = new(2, 25_000_000);
        return (new() { Transmit = direction, Receive = direction }, new() { Client = role, Server = role });
    }
}
