using System.Diagnostics;
using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>
/// Compares the binary with another one, such as an earlier version's: in each round the other, this one and the other again, on a node of the same interfaces.
/// A ratio is the median over the rounds; the spread is how far the other is from itself in half of the rounds.
/// </summary>
internal static class Comparison
{
    private const int Interfaces = 100;
    private const int Scrapes = 100;
    private const int Rounds = 10;

    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(300);

    /// <param name="other">The path of the other binary.</param>
    internal static async Task RunAsync(string other)
    {
        using var veths = new Veths(Interfaces);
        veths.MakePods();
        var rounds = new List<(Measured Other, Measured This, Measured Again)>();
        for (var round = 0; round < Rounds; round++)
        {
            rounds.Add((await MeasureAsync(other, veths), await MeasureAsync(ExporterProcess.Binary, veths), await MeasureAsync(other, veths)));
        }
        Table.Begin($"Against {Path.GetFileName(Path.GetDirectoryName(other))}, {Rounds} rounds");
        Row("start to the first scrape", measured => measured.Start);
        Row($"resident memory with {Interfaces} interfaces, after {Scrapes} scrapes", measured => measured.Memory);
        Row("duration of a drain of traffic", measured => measured.Drain);
        Row("memory of the ledger", measured => measured.Ledger);
        Table.Row("size of the binary", new FileInfo(ExporterProcess.Binary).Length / (double)new FileInfo(other).Length, " times");
        var (before, now, after) = (await MeasureIdleAsync(other), await MeasureIdleAsync(ExporterProcess.Binary), await MeasureIdleAsync(other));
        Table.Row($"CPU while idle, over {Idle.TotalSeconds:F0} s", now / before, " times", most: Math.Max(1.03, Math.Max(after / before, before / after)));

        void Row(string what, Func<Measured, double> value)
        {
            var spread = Table.Median(rounds.Select(round => Math.Max(value(round.Again) / value(round.Other), value(round.Other) / value(round.Again))));
            Table.Row($"{what} (the other against itself: {spread:0.###})", Table.Median(rounds.Select(round => value(round.This) / value(round.Other))), " times", most: Math.Max(1.03, spread));
        }
    }

    private static async Task<Measured> MeasureAsync(string binary, Veths veths)
    {
        using var node = new PinnedNode();
        var started = Stopwatch.GetTimestamp();
        double start, memory;
        using (var exporter = Launch(binary, node))
        {
            await Footprint.WaitForAnswerAsync(() => exporter.GetAsync("/metrics"));
            start = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            await CountAsync(exporter, veths);
            for (var scrape = 0; scrape < Scrapes; scrape++)
            {
                await exporter.GetAsync("/metrics");
            }
            memory = Footprint.ResidentKilobytes(exporter.Id);
        }
        return new(start, memory, await MeasureDrainAsync(binary, veths), MeasureLedger(node));
    }

    /// <summary>Of traffic alone: earlier versions do not measure the drains of all signals together. Returns seconds.</summary>
    private static async Task<double> MeasureDrainAsync(string binary, Veths veths)
    {
        using var node = new PinnedNode();
        using var exporter = Launch(binary, node, "--Handshake:Hook=off");
        await Footprint.WaitForAnswerAsync(() => exporter.GetAsync("/metrics"));
        await CountAsync(exporter, veths);
        var samples = await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_drain_duration_seconds_count"] >= 10);
        return samples["podnet_exporter_drain_duration_seconds_sum"]!.Value / samples["podnet_exporter_drain_duration_seconds_count"]!.Value;
    }

    private static ExporterProcess Launch(string binary, PinnedNode node, params string[] options) =>
        ExporterProcess.LaunchInstead([binary], [.. node.Options, "--Drain:Interval=00:00:01", .. options]);

    /// <summary>Returns once all interfaces are attached and have series.</summary>
    private static async Task CountAsync(ExporterProcess exporter, Veths veths)
    {
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Interfaces);
        veths.SendFrames();
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_series"] >= Interfaces);
    }

    private static async Task<double> MeasureIdleAsync(string binary)
    {
        using var node = new PinnedNode();
        using var exporter = Launch(binary, node);
        await Footprint.WaitForAnswerAsync(() => exporter.GetAsync("/metrics"));
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Interfaces);
        // Interfaces without addresses are asked for them often in their first half minute.
        await Task.Delay(TimeSpan.FromSeconds(40));
        var before = Footprint.CpuTime(exporter.Id);
        await Task.Delay(Idle);
        return (Footprint.CpuTime(exporter.Id) - before).TotalSeconds;
    }

    /// <summary>Bytes of the pinned maps that the ledger is in.</summary>
    private static double MeasureLedger(PinnedNode node)
    {
        using var pins = PinDirectory.Open(node.Folder);
        var bytes = 0.0;
        // A link beside them says how they are laid out.
        foreach (var file in new DirectoryInfo(node.Folder).EnumerateFiles("ledger_*", SearchOption.AllDirectories).Where(file => file.LinkTarget is null).Select(file => file.FullName))
        {
            if (pins.Get(Path.GetRelativePath(node.Folder, file)) is { } descriptor)
            {
                using var map = new BpfMap(Path.GetFileName(file), descriptor);
                bytes += (double)map.MaxEntries * map.ValueSize;
            }
        }
        return bytes;
    }

    /// <param name="Start">Milliseconds.</param>
    /// <param name="Memory">Kilobytes.</param>
    /// <param name="Drain">Seconds.</param>
    /// <param name="Ledger">Bytes.</param>
    private sealed record Measured(double Start, double Memory, double Drain, double Ledger);
}
