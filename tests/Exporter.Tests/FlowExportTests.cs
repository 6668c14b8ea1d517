using System.Text;
using Exporter.Export;
using Exporter.Health;
using Exporter.Records;
using Exporter.Signals;
using Exporter.Signals.Flows;
using Exporter.State;
using Exporter.Tests.Support;
using Prometheus;

namespace Exporter.Tests;

/// <summary>What is left of the export of a session that has ended, while another one runs.</summary>
public sealed class FlowExportTests : IDisposable
{
    /// <summary>Of a <see cref="ShapedNode"/>.</summary>
    private const ulong Interval = 31;

    /// <summary>More than 8 MiB of records.</summary>
    private const int Flows = 20_000;

    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-export-").FullName;
    private readonly PausingClock _time = new();
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly KeptMemory _memory = new();

    private string File => Path.Combine(_directory, "flows.json");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_session_that_has_ended_has_neither_the_records_memory_nor_the_sinks_files()
    {
        using var export = Open(File);
        await export.StartAsync(TestContext.Current.CancellationToken);
        Issue(export, 1, 1000);
        await SettleAsync(export);
        Assert.Contains(File, OpenFiles());

        await StopAsync(export);

        await UntilAsync(() => !OpenFiles().Contains(File));
        Assert.Equal(ExportRing.BlockBytes, export.Ring!.Memory);
    }

    [Fact]
    public async Task Records_that_a_sink_did_not_take_keep_no_memory_when_the_session_has_ended()
    {
        using var export = Open(Path.Combine(_directory, "missing", "flows.json"));
        await export.StartAsync(TestContext.Current.CancellationToken);
        Issue(export, 1, 10_000);
        Assert.InRange(export.Ring!.Memory, 8 * ExportRing.BlockBytes, long.MaxValue);

        await StopAsync(export);

        Assert.Equal(ExportRing.BlockBytes, export.Ring.Memory);
        Assert.Equal(10_000, export.Ring.Readers[0].Counts.UnderWay + export.Ring.Readers[0].Counts.Shutdown);
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 2)]
    [InlineData(true, 9)]
    public async Task Records_that_a_sink_did_not_take_by_an_orderly_end_are_issued_again_and_not_lost_unless_options_change(bool isChanged, int most)
    {
        using (var export = Open(Path.Combine(_directory, "missing", "flows.json"), interval: 1))
        {
            await export.StartAsync(TestContext.Current.CancellationToken);
            Issue(export, 1, 5);
            await StopAsync(export);
        }
        using var next = Open(File);
        if (isChanged)
        {
            next.LoseChanged(1, most);
            Assert.Equal(new SinkCounts(Math.Max(5, most), 0, Changed: Math.Max(5, most)), next.Ring!.Readers[0].Counts);
            return;
        }
        await next.StartAsync(TestContext.Current.CancellationToken);
        Issue(next, 1, 5);
        await SettleAsync(next);
        await StopAsync(next);

        Assert.Equal(new SinkCounts(5, 5), next.Ring!.Readers[0].Counts);
        using var last = Open(File);
        Assert.Equal(new SinkCounts(5, 5), last.Ring!.Readers[0].Counts);
    }

    /// <summary>Memory has room for a part of the last interval, and its sink takes nothing.</summary>
    [Fact]
    public async Task Of_a_last_interval_without_room_nothing_is_lost_and_the_next_process_writes_all_of_it()
    {
        using var node = NodeWith(Flows);
        using (var export = Open(Path.Combine(_directory, "missing", "flows.json"), Interval))
        {
            await export.StartAsync(TestContext.Current.CancellationToken);
            var looks = 0;
            node.Write(node.Writer(export, hurries: () => false, leaves: () => ++looks == 3));
            Assert.Equal(3, looks);
            await StopAsync(export);
            Assert.InRange(export.Ring!.Readers[0].Counts.UnderWay, 1000, Flows - 1);
            Assert.Equal(0, export.Ring.Readers[0].Counts.Lost);
        }

        using var next = Open(File);
        Assert.Equal(default, next.Ring!.Readers[0].Counts);
        await next.StartAsync(TestContext.Current.CancellationToken);
        node.Write(node.Writer(next, hurries: () => false, leaves: () => false));
        await UntilAsync(() => next.Ring.Readers[0].SettledInterval == Interval);
        await StopAsync(next);
        Assert.Equal(new SinkCounts(Flows, Flows), next.Ring.Readers[0].Counts);
    }

    [Fact]
    public async Task Records_that_were_left_are_lost_when_another_interval_follows()
    {
        using var node = NodeWith(Flows);
        using var export = Open(Path.Combine(_directory, "missing", "flows.json"), Interval);
        var writer = node.Writer(export, hurries: () => false, leaves: () => true);
        node.Write(writer);

        writer.Close();

        var counts = export.Ring!.Readers[0].Counts;
        Assert.Equal((Flows, Flows), (counts.Issued, counts.UnderWay + counts.Backpressure));
        Assert.InRange(counts.Backpressure, 1, Flows - 1000);
        writer.Close();
        Assert.Equal(counts, export.Ring.Readers[0].Counts);
        export.Ring.Begin(Interval + 1);
        await StopAsync(export);
    }

    [Fact]
    public async Task The_gauges_of_a_sink_stay_when_a_session_before_is_disposed()
    {
        var first = Open(File);
        await first.StartAsync(TestContext.Current.CancellationToken);
        await StopAsync(first);
        using var second = Open(File);
        await second.StartAsync(TestContext.Current.CancellationToken);

        first.Dispose();

        Assert.Contains("podnet_exporter_sink_up{sink=\"file\"} 1\n", await ScrapedText.WriteAsync(_registry), StringComparison.Ordinal);
        await StopAsync(second);
        Assert.DoesNotContain("podnet_exporter_sink_up{", await ScrapedText.WriteAsync(_registry), StringComparison.Ordinal);
    }

    private static ShapedNode NodeWith(int flows)
    {
        var node = new ShapedNode();
        var owner = node.AddInterface("web-0");
        for (var port = 1; port <= flows; port++)
        {
            node.Add(owner, 300, port);
        }
        return node;
    }

    private static IEnumerable<string> OpenFiles() => Directory.GetFiles("/proc/self/fd").Select(link => new FileInfo(link).LinkTarget).OfType<string>();

    private static void Issue(FlowExport export, ulong interval, int records)
    {
        var line = Encoding.UTF8.GetBytes($"{new string('x', 300)}\n");
        export.Ring!.Begin(interval);
        for (var i = 0; i < records; i++)
        {
            Assert.True(export.Ring.TryAppend(line, LineKind.Flow, "key"u8));
        }
        export.Ring.End(new(interval, records, records * line.Length, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch));
    }

    private static Task SettleAsync(FlowExport export) => UntilAsync(() => export.Ring!.Readers[0].SettledInterval >= 1);

    private static async Task UntilAsync(Func<bool> isSo)
    {
        using var silence = new CancellationTokenSource(Silence.Limit);
        while (!isSo())
        {
            silence.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private async Task StopAsync(FlowExport export)
    {
        var end = export.StopAsync(TestContext.Current.CancellationToken);
        while (!end.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        await end;
    }

    /// <param name="interval">The one that begins; 0: none.</param>
    private FlowExport Open(string file, ulong interval = 0)
    {
        var factory = Prometheus.Metrics.WithCustomRegistry(_registry);
        var ledger = Ledger.OpenIn(_memory);
        var book = new FlowBook(ledger, ["file"]);
        if (interval > 0)
        {
            lock (ledger.Lock)
            {
                book.Begin(new(interval, 40, default, new(default, 0, 250), new(default, 0, 250), 7, 1000));
                ledger.Commit();
            }
        }
        var options = TestOptions.ExportOf(("Export:Sinks", "file"), ("Export:MaxMemory", "8MiB"), ("File:Path", file));
        var context = new SessionContext(new(), null!, null!, ledger, factory, _time, TimeSpan.Zero, TimeSpan.FromSeconds(1)) { Health = new LoopHealth(_time) };
        return new(options, RecordFields.All, book, new RecordObserver(new byte[RecordObserver.EpochLength], "node-0", ""), context);
    }
}
