using System.Diagnostics;
using Exporter.Engine.Tests.Support;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>
/// The binary with a real broker of Kafka or a real node of OpenSearch: what it takes, also while the broker is away, and what scrapes see of that. Only where it is asked for by name.
/// </summary>
internal static class Sinks
{
    private const int RecordsPerSecond = 10_000;
    private const int Seconds = 60;
    private const int OutageSeconds = 600;
    private const int Scrapes = 2000;
    private const string MaxMemory = "32MiB";
    private const double MaxMemoryMegabytes = 32;

    /// <summary>With a real node of OpenSearch, which needs more CPU for the records than the exporter.</summary>
    internal static async Task RunSearchAsync()
    {
        await using var node = await SearchNode.StartAsync();
        Shell.Run(ExporterProcess.Binary, "flows", "install", "--to=opensearch", $"--url={node.Url}", "--no-lifecycle");
        await BesideTrafficAsync(async () =>
        {
            Table.Begin($"{RecordsPerSecond} records a second to OpenSearch");
            using var exporter = await StartAsync("--Export:Sinks=elasticsearch", $"--Elasticsearch:Urls={node.Url}");
            await MeasureSteadyAsync(exporter, "elasticsearch", mostPerRecord: 12);
            Table.Row("records lost, counted", (await exporter.ScrapeAsync()).Sum("podnet_exporter_flow_records_lost_total"), "");
        });
    }

    internal static async Task RunAsync()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync("podnet.flows", partitions: 12, new() { ["retention.bytes"] = "268435456", ["segment.bytes"] = "67108864" });
        var directory = Directory.CreateTempSubdirectory("podnet-bench-");
        try
        {
            await BesideTrafficAsync(async () =>
            {
                await MeasureKafkaAsync(broker);
                await MeasureScrapesAsync(broker, Path.Combine(directory.FullName, "flows.json"));
            });
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <summary>While a pod sends a packet of each flow in each second.</summary>
    private static async Task BesideTrafficAsync(Func<Task> measure)
    {
        using var pod = new Pod().Up();
        using var end = new CancellationTokenSource();
        var traffic = SendAsync(pod, end.Token);
        try
        {
            await measure();
        }
        finally
        {
            await end.CancelAsync();
            await traffic;
        }
    }

    private static async Task MeasureKafkaAsync(KafkaBroker broker)
    {
        Table.Begin($"{RecordsPerSecond} records a second to Kafka");
        using var exporter = await StartAsync("--Export:Sinks=kafka", $"--Kafka:Brokers={broker.BootstrapServers}");
        var steady = await MeasureSteadyAsync(exporter, "kafka", mostPerRecord: 10);

        await broker.StopAsync();
        var away = await MemoryAsync(exporter, OutageSeconds);
        Table.Row($"resident memory, broker away for {OutageSeconds} s, most above that, Export:MaxMemory={MaxMemory}", away.Max() - steady, " MiB", most: MaxMemoryMegabytes + 4);
        var restarted = Stopwatch.GetTimestamp();
        await broker.RestartAsync();
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_sink_up{sink=\"kafka\"}"] == 1);
        Table.Row("from the broker's start to records", Stopwatch.GetElapsedTime(restarted).TotalSeconds, " s");
        Table.Row("records lost in the outage, counted", (await exporter.ScrapeAsync()).Sum("podnet_exporter_flow_records_lost_total"), "");
    }

    /// <summary>A minute, once the first records are there.</summary>
    /// <param name="mostPerRecord">Microseconds: at 10,000 records a second one is a hundredth of a core.</param>
    /// <returns>The resident memory, MiB.</returns>
    private static async Task<double> MeasureSteadyAsync(ExporterProcess exporter, string sink, double mostPerRecord)
    {
        await Task.Delay(TimeSpan.FromSeconds(20));
        var (cpu, sent, started) = (Footprint.CpuTime(exporter.Id), await SentAsync(exporter, sink), Stopwatch.GetTimestamp());
        var memory = await MemoryAsync(exporter, Seconds);
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var rate = (await SentAsync(exporter, sink) - sent) / elapsed;
        var used = (Footprint.CpuTime(exporter.Id) - cpu).TotalSeconds / elapsed;
        Table.Row("records acknowledged a second", rate, "");
        Table.Row("CPU", 100 * used, " % of a core");
        Table.Row("CPU for each record", 1e6 * used / rate, " µs", most: mostPerRecord);
        var steady = Table.Median(memory);
        Table.Row("resident memory", steady, " MiB", most: 110);
        return steady;
    }

    /// <summary>The broker takes connections, and answers nothing.</summary>
    private static async Task MeasureScrapesAsync(KafkaBroker broker, string file)
    {
        Table.Begin($"Scrapes beside a broker that does not answer, over {Scrapes} scrapes");
        string[] sink = ["--Export:Sinks=file", $"--File:Path={file}", "--File:MaxSize=256MiB", "--File:MaxFiles=2"];
        var alone = await ScrapeAsync(sink);
        await broker.HoldAsync(true);
        var beside = await ScrapeAsync([.. sink, "--Export:Sinks=file,kafka", $"--Kafka:Brokers={broker.BootstrapServers}"]);
        await broker.HoldAsync(false);
        Table.Row("median against without", Table.Median(beside.Scrapes) / Table.Median(alone.Scrapes), " times", most: 1.1);
        Table.Row("99th percentile against without", Table.Percentile(beside.Scrapes, 99) / Table.Percentile(alone.Scrapes, 99), " times", most: 1.5);
        Table.Row("duration of a drain against without", beside.Drain / alone.Drain, " times", most: 1.1);
    }

    /// <summary>Milliseconds of each scrape, and the mean drain in seconds.</summary>
    private static async Task<(List<double> Scrapes, double Drain)> ScrapeAsync(string[] options)
    {
        using var exporter = await StartAsync(options);
        await Task.Delay(TimeSpan.FromSeconds(20));
        var times = new List<double>();
        for (var scrape = 0; scrape < Scrapes; scrape++)
        {
            var started = Stopwatch.GetTimestamp();
            await exporter.GetAsync("/metrics");
            times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            await Task.Delay(10);
        }
        var samples = await exporter.ScrapeAsync();
        return (times, samples["podnet_exporter_drain_duration_seconds_sum"]!.Value / samples["podnet_exporter_drain_duration_seconds_count"]!.Value);
    }

    private static Task<ExporterProcess> StartAsync(params string[] options) => ExporterProcess.StartAsync(
        ["--Identity:Source=standalone", "--Flows:Enabled=true", "--Flows:Interval=00:00:01", "--Flows:MaxFlowsPerPod=100", "--Edges:Classes=pods=10.0.0.0/8", $"--Export:MaxMemory={MaxMemory}", .. options]);

    /// <summary>Each second, MiB.</summary>
    private static async Task<List<double>> MemoryAsync(ExporterProcess exporter, int seconds)
    {
        var memory = new List<double>();
        for (var second = 0; second < seconds; second++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1));
            memory.Add(Footprint.ResidentKilobytes(exporter.Id) / 1024.0);
        }
        return memory;
    }

    private static async Task<double> SentAsync(ExporterProcess exporter, string sink) => (await exporter.ScrapeAsync()).Sum("podnet_exporter_sink_acknowledged_records_total", $"sink=\"{sink}\"");

    /// <summary>A packet of each flow a second, and so a record.</summary>
    private static async Task SendAsync(Pod pod, CancellationToken cancellationToken)
    {
        using var socket = FrameSocket.Open(pod.Namespace, "eth0");
        var frame = Packet.Ethernet().Ipv4().Udp().Bytes(64).ToArray();
        while (!cancellationToken.IsCancellationRequested)
        {
            await FlowRecording.SendAsync(socket, frame, RecordsPerSecond, seconds: 1);
        }
    }
}
