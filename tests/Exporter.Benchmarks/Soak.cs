using System.Buffers.Binary;
using System.Diagnostics;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>Half an hour of more flows than may have records: memory stays, no record is lost. Only where it is asked for by name.</summary>
internal static class Soak
{
    private const int FlowsPerSecond = 20_000;

    /// <summary>Of them, those that are not of the second before.</summary>
    private const int NewPerSecond = 500;

    private const int RecordsPerSecond = 10_000;
    private const int Pods = 4;
    private const int Minutes = 30;

    /// <summary>As often as Prometheus, and as memory is looked at.</summary>
    private const int SecondsBetweenScrapes = 15;

    internal static async Task RunAsync()
    {
        Table.Begin($"{Minutes} minutes of {FlowsPerSecond} flows a second, {NewPerSecond} of them new, with Flows:MaxRecordsPerSecond={RecordsPerSecond}");
        var directory = Directory.CreateTempSubdirectory("podnet-bench-");
        var pods = Enumerable.Range(0, Pods).Select(_ => new Pod().Up()).ToList();
        try
        {
            await MeasureAsync(pods, Path.Combine(directory.FullName, "flows.json"));
        }
        finally
        {
            pods.ForEach(pod => pod.Dispose());
            directory.Delete(recursive: true);
        }
    }

    private static async Task MeasureAsync(List<Pod> pods, string file)
    {
        using var exporter = await ExporterProcess.StartAsync(
            "--Identity:Source=standalone", "--Flows:Enabled=true", "--Flows:Interval=00:00:01", "--Flows:MaxFlows=65536", $"--Flows:MaxRecordsPerSecond={RecordsPerSecond}",
            "--Edges:Level=workload", "--Edges:Classes=pods=10.0.0.0/8", "--Export:Sinks=file", $"--File:Path={file}", "--File:MaxSize=1GiB", "--File:MaxFiles=2");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Pods);
        var sockets = pods.ConvertAll(pod => FrameSocket.Open(pod.Namespace, "eth0"));
        var frame = Packet.Ethernet().Ipv4().Udp().Bytes(64).ToArray();
        List<(double Minute, double Memory)> seen = [];
        var (cpu, records) = (TimeSpan.Zero, 0.0);
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        var (started, steady) = (Stopwatch.GetTimestamp(), 0L);
        for (var second = 0; second < 60 * Minutes; second++)
        {
            SendSecond(sockets, frame, second);
            if (second % SecondsBetweenScrapes == 0)
            {
                var samples = await exporter.ScrapeAsync();
                var minute = Stopwatch.GetElapsedTime(started).TotalMinutes;
                seen.Add((minute, Footprint.ResidentKilobytes(exporter.Id) / 1024.0));
                if (steady == 0 && minute >= 5)
                {
                    (steady, cpu, records) = (Stopwatch.GetTimestamp(), Footprint.CpuTime(exporter.Id), RecordsOf(samples));
                }
            }
            await timer.WaitForNextTickAsync();
        }
        var elapsed = Stopwatch.GetElapsedTime(steady).TotalSeconds;
        var used = (Footprint.CpuTime(exporter.Id) - cpu).TotalSeconds;
        var last = await exporter.ScrapeAsync();
        sockets.ForEach(socket => socket.Dispose());
        var early = Table.Median(seen.Where(sample => sample.Minute is >= 5 and < 10).Select(sample => sample.Memory));
        var late = Table.Median(seen.Where(sample => sample.Minute >= Minutes - 5).Select(sample => sample.Memory));
        Table.Row("resident memory, minutes 5 to 10", early, " MiB");
        Table.Row("resident memory, last 5 minutes, above that", late - early, " MiB", most: 3);
        Table.Row("CPU, from minute 5 on", 100 * used / elapsed, " % of a core", most: 15);
        Table.Row("records a second, from minute 5 on", (RecordsOf(last) - records) / elapsed, "");
        Table.Row("records lost", last.Sum("podnet_exporter_flow_records_lost_total"), "", most: 0);
        Table.Row("flows forgotten", last.Sum("podnet_exporter_flow_forgotten_total"), "");
    }

    /// <summary>A packet of each flow of the second, by UDP to a port of one address.</summary>
    private static void SendSecond(List<FrameSocket> sockets, byte[] frame, int second)
    {
        const int Ports = Packet.EthernetLength + Packet.Ipv4Length;
        for (var flow = 0; flow < FlowsPerSecond; flow++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(Ports), 0x0400_0035 + (uint)((second * NewPerSecond) + flow) * 0x10007);
            sockets[flow % Pods].Send(frame);
        }
    }

    private static double RecordsOf(MetricSamples samples) => samples.Sum("podnet_exporter_flow_records_total", "dataset=\"flow\"");
}
