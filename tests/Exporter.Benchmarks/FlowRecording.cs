using System.Buffers.Binary;
using System.Diagnostics;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>What the binary itself takes for flows: many of them, each with a record in every interval.</summary>
internal static class FlowRecording
{
    private const int Seconds = 20;

    internal static async Task RunAsync()
    {
        Table.Begin("Records of flows, to a file");
        var directory = Directory.CreateTempSubdirectory("podnet-bench-");
        try
        {
            foreach (var flows in (int[])[1_000, 10_000])
            {
                await MeasureAsync(flows, Path.Combine(directory.FullName, $"{flows}.json"));
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <summary>Each flow has a packet a second, and so a record in each interval of a second.</summary>
    private static async Task MeasureAsync(int flows, string file)
    {
        using var pod = new Pod().Up();
        using var exporter = await ExporterProcess.StartAsync(
            "--Identity:Source=standalone", "--Flows:Enabled=true", "--Flows:Interval=00:00:01", "--Flows:MaxFlowsPerPod=100", "--Edges:Classes=pods=10.0.0.0/8", "--Export:Sinks=file", $"--File:Path={file}");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == 1);
        using var socket = FrameSocket.Open(pod.Namespace, "eth0");
        var frame = Packet.Ethernet().Ipv4().Udp().Bytes(64).ToArray();
        // The first seconds make the objects that the others use again.
        await SendAsync(socket, frame, flows, seconds: 3);
        var (before, records, started) = (Footprint.CpuTime(exporter.Id), await RecordsAsync(exporter), Stopwatch.GetTimestamp());
        await SendAsync(socket, frame, flows, Seconds);
        var (cpu, elapsed) = ((Footprint.CpuTime(exporter.Id) - before).TotalSeconds, Stopwatch.GetElapsedTime(started).TotalSeconds);
        var written = await RecordsAsync(exporter) - records;
        Table.Row($"{flows} flows, records a second", written / elapsed, "");
        Table.Row($"{flows} flows, CPU", 100 * cpu / elapsed, " % of a core", most: flows == 10_000 ? 10 : null);
        Table.Row($"{flows} flows, CPU for each record", 1e6 * cpu / written, " µs");
        Table.Row($"{flows} flows, resident memory", Footprint.ResidentKilobytes(exporter.Id) / 1024.0, " MiB");
    }

    /// <summary>Sends a packet of each flow in each second.</summary>
    internal static async Task SendAsync(FrameSocket socket, byte[] frame, int flows, int seconds)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        for (var second = 0; second < seconds; second++)
        {
            for (var flow = 0; flow < flows; flow++)
            {
                BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Packet.EthernetLength + Packet.Ipv4Length), (ushort)(1024 + flow));
                socket.Send(frame);
            }
            await timer.WaitForNextTickAsync();
        }
    }

    private static async Task<double> RecordsAsync(ExporterProcess exporter)
    {
        var samples = await exporter.ScrapeAsync();
        return samples["podnet_exporter_flow_records_total{dataset=\"flow\"}"]!.Value;
    }
}
