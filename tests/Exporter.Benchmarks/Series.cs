using System.Buffers;
using System.Diagnostics;
using Exporter.Accounts;
using Exporter.Commands;
using Exporter.Exposition;
using Exporter.Kernel.Tests.Support;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.State;
using Exporter.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Benchmarks;

/// <summary>What the pods' series take: to write, and to add to.</summary>
internal static class Series
{
    private const int Scrapes = 200;

    /// <summary>Of drains, so that there is one between two scrapes.</summary>
    private const string Often = "00:00:00.1";

    internal static async Task RunAsync()
    {
        Table.Begin("Series");
        await MeasureScrapesAsync(interfaces: 400);
        await MeasureFirstScrapesAsync(interfaces: 1200);
        MeasureWriting(20_000);
        MeasureWriting(60_000);
        MeasureAdding(pods: 500, maxPods: 1000, "");
        MeasureAdding(pods: 500, maxPods: 100, ", 400 of them folded");
    }

    /// <summary>First scrapes after drains, and then further ones of one drain.</summary>
    private static async Task MeasureScrapesAsync(int interfaces)
    {
        using var veths = new Veths(interfaces);
        veths.MakePods();
        using (var exporter = await StartAsync(veths, interfaces, Often))
        {
            await MeasureFirstScrapesAsync(exporter, interfaces);
            Table.Row($"resident memory with {LinesOf(interfaces)} series, after {2 * Scrapes} scrapes", Footprint.ResidentKilobytes(exporter.Id) / 1024.0, " MiB", most: 48);
        }
        using var further = await StartAsync(veths, interfaces, interval: "00:01:00");
        var (plain, _) = await ScrapeAsync(further, pause: 0, "text/plain", coding: null);
        var (zipped, _) = await ScrapeAsync(further, pause: 0, "application/openmetrics-text", "gzip");
        Table.Row($"a scrape of {LinesOf(interfaces)} series, further one of the same drain, plain text, median", plain, " ms", most: 1);
        Table.Row($"a scrape of {LinesOf(interfaces)} series, further one of the same drain, OpenMetrics with gzip, median", zipped, " ms", most: 1);
    }

    private static async Task MeasureFirstScrapesAsync(int interfaces)
    {
        using var veths = new Veths(interfaces);
        veths.MakePods();
        using var exporter = await StartAsync(veths, interfaces, Often);
        await MeasureFirstScrapesAsync(exporter, interfaces);
    }

    private static async Task MeasureFirstScrapesAsync(ExporterProcess exporter, int interfaces)
    {
        const int Pause = 150;
        var (plain, plainBytes) = await ScrapeAsync(exporter, Pause, "text/plain", coding: null);
        var (zipped, zippedBytes) = await ScrapeAsync(exporter, Pause, "application/openmetrics-text", "gzip");
        Table.Row($"a scrape of {LinesOf(interfaces)} series, first after a drain, plain text, median", plain, " ms", most: LinesOf(interfaces) * 4.0 / 20_000);
        Table.Row($"a scrape of {LinesOf(interfaces)} series, first after a drain, OpenMetrics with gzip, median", zipped, " ms");
        Table.Row($"with gzip against plain text, {LinesOf(interfaces)} series, time", zipped / plain, " times", most: 2.5);
        Table.Row($"with gzip against plain text, {LinesOf(interfaces)} series, bytes", 100.0 * zippedBytes / plainBytes, " %", most: 12);
    }

    /// <summary>With packets of five transports for each of so many pods.</summary>
    private static async Task<ExporterProcess> StartAsync(Veths veths, int interfaces, string interval)
    {
        var exporter = await ExporterProcess.StartAsync(
            "--Attach:Hook=clsact", "--Handshake:Hook=off", $"--Metrics:MaxSeries={2 * LinesOf(interfaces)}", $"--Metrics:MaxPods={Math.Max(1000, interfaces)}",
            $"--Bpf:MaxInterfaces={Math.Max(1024, interfaces)}", $"--Drain:Interval={interval}", "--Bpf:PinDirectory=");
        try
        {
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == interfaces);
            veths.SendFrames(6, 17, 1, 132, 50);
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series"] == LinesOf(interfaces));
            return exporter;
        }
        catch
        {
            exporter.Dispose();
            throw;
        }
    }

    /// <summary>A block of six lines for each of five transports, and the one of sizes.</summary>
    private static int LinesOf(int interfaces) => interfaces * (20 + (5 * 6));

    /// <summary>The median time from the request to the last byte, and the bytes of one answer.</summary>
    private static async Task<(double Milliseconds, long Bytes)> ScrapeAsync(ExporterProcess exporter, int pause, string accept, string? coding)
    {
        using var client = new HttpClient { BaseAddress = new($"http://127.0.0.1:{exporter.Port}") };
        client.DefaultRequestHeaders.Add("Accept", accept);
        if (coding is not null)
        {
            client.DefaultRequestHeaders.Add("Accept-Encoding", coding);
        }
        var (measured, buffer, bytes) = (new List<double>(), new byte[1 << 20], 0L);
        for (var i = 0; i < Scrapes; i++)
        {
            await Task.Delay(pause);
            var started = Stopwatch.GetTimestamp();
            using var response = await client.GetAsync("/metrics", HttpCompletionOption.ResponseHeadersRead);
            await using var body = await response.EnsureSuccessStatusCode().Content.ReadAsStreamAsync();
            bytes = 0;
            for (int read; (read = await body.ReadAsync(buffer)) > 0; bytes += read)
            {
            }
            measured.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        return (Table.Median(measured), bytes);
    }

    /// <summary>What a scrape has written, without the server.</summary>
    private static void MeasureWriting(int lines)
    {
        const int Rounds = 100;
        var (accounts, labels, ledger) = NewAccounts(maxSeries: 200_000, maxPods: 10_000);
        var (traffic, handshakes) = Everything();
        for (var i = 0; accounts.Lines < lines; i++)
        {
            var pod = accounts.Acquire(labels.Identify(new("bench", $"pod-{i}")));
            pod.Add(traffic);
            pod.Add(handshakes);
            lock (ledger.Lock)
            {
                ledger.Commit();
            }
        }
        accounts.Settle();
        var (writer, output, zipped) = (new SnapshotWriter(accounts), new ArrayBufferWriter<byte>(), new ZippedText());
        var (plain, gzip, allocated) = (new List<double>(), new List<double>(), 0L);
        for (var round = 0; round < Rounds; round++)
        {
            output.ResetWrittenCount();
            var before = GC.GetAllocatedBytesForCurrentThread();
            var started = Stopwatch.GetTimestamp();
            writer.Write(output, ExpositionFormat.Text);
            plain.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            started = Stopwatch.GetTimestamp();
            zipped.Write(output.WrittenSpan);
            gzip.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        Table.Row($"writing {accounts.Lines} lines, without the server, median", Table.Median(plain), " ms", most: lines * 4.0 / 20_000);
        Table.Row("compressing them, median", Table.Median(gzip), " ms");
        Table.Row("allocated for a line", allocated / accounts.Lines, " bytes", most: 0);
    }

    private static (PodAccounts Accounts, PodLabels Labels, Ledger Ledger) NewAccounts(int maxSeries, int maxPods)
    {
        var options = ExporterOptions.Read(new OptionReader(new ConfigurationBuilder().AddInMemoryCollection(
            [new("Metrics:MaxSeries", $"{maxSeries}"), new("Metrics:MaxPods", $"{maxPods}")]).Build()));
        var (labels, ledger) = (options.CreateLabels(), Ledger.Open(null));
        var metrics = new AccountMetrics(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()), ledger, EverySignal.Totals);
        return (new(metrics, TimeProvider.System, labels, options.Metrics, options.CreatePlan(), ledger, NullLogger<PodAccounts>.Instance), labels, ledger);
    }

    private static void MeasureAdding(int pods, int maxPods, string remark)
    {
        const int Rounds = 200;
        var (metrics, labels, _) = NewAccounts(maxSeries: 100_000, maxPods);
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
