using System.Buffers;
using System.Text;
using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Commands;
using Exporter.Edges;
using Exporter.Exposition;
using Exporter.State;
using Microsoft.Extensions.Time.Testing;
using Prometheus;

namespace Exporter.Tests.Support;

/// <summary>Everything from an edge's row to the text of a scrape. A test does the drain's part: it adds rows, and commits.</summary>
internal sealed class EdgeNode
{
    private readonly SnapshotWriter _writer;

    /// <param name="memory">Of a ledger that a previous process has left; null: there is none.</param>
    /// <param name="time">Null: a clock of its own.</param>
    /// <param name="lines">The lines of edges, also fewer than options allow; null: the options'.</param>
    internal EdgeNode((string Key, string? Value)[] settings, KeptMemory? memory = null, FakeTimeProvider? time = null, int? lines = null)
    {
        (Memory, Time) = (memory ?? new(), time ?? new FakeTimeProvider());
        var reader = TestOptions.Reader([.. settings.Where(setting => setting.Key.StartsWith("Edges:", StringComparison.Ordinal))]);
        EdgeOptions = EdgeOptions.Read(reader);
        EdgeOptions = EdgeOptions with { MaxSeries = lines ?? EdgeOptions.MaxSeries };
        Assert.Empty(reader.Errors);
        Options = TestOptions.Read([.. settings.Where(setting => !setting.Key.StartsWith("Edges:", StringComparison.Ordinal))]);
        Ledger = Ledger.OpenIn(Memory, EverySignal.Rows, EverySignal.Unused);
        (Pods, Edges) = StartSession();
        _writer = new(Pods);
    }

    internal EdgeOptions EdgeOptions { get; }

    internal ExporterOptions Options { get; }

    internal FakeTimeProvider Time { get; }

    internal CollectorRegistry Registry { get; } = Prometheus.Metrics.NewCustomRegistry();

    /// <summary>What stays of the ledger when the process ends.</summary>
    internal KeptMemory Memory { get; }

    internal Ledger Ledger { get; }

    internal RecordingLogger<EdgeAccounts> Logger { get; } = new();

    internal PodAccounts Pods { get; }

    internal EdgeAccounts Edges { get; }

    /// <summary>The process was killed, and this is the next one. Rows that were not committed are gone.</summary>
    internal EdgeNode StartAgain(params (string Key, string? Value)[] settings) => new(settings, Memory.Copy(), Time);

    /// <summary>Another session on the same ledger, as after a change of options.</summary>
    internal (PodAccounts Pods, EdgeAccounts Edges) StartSession()
    {
        var factory = Prometheus.Metrics.WithCustomRegistry(Registry);
        var metrics = new AccountMetrics(factory, Ledger, EverySignal.Totals);
        var plan = Options.CreatePlan() with { Beside = EdgeOptions.LinesOf(Options.Metrics.MaxSeries) };
        var pods = new PodAccounts(metrics, Time, Options.CreateLabels(), Options.Metrics, plan, Ledger, new RecordingLogger<PodAccounts>());
        var edges = new EdgeAccounts(EdgeOptions, Options.Metrics, Ledger, metrics.Retired, new(factory), Time, Logger);
        edges.ShowIn(pods);
        return (pods, edges);
    }

    /// <summary>Adds without a commit.</summary>
    internal void Add(EdgeKey key, EdgeRow row)
    {
        lock (Ledger.Lock)
        {
            Edges.Add(key, RowFields.RowOf(row));
        }
    }

    /// <summary>Adds and commits, as a drain that has read one row.</summary>
    internal void Count(EdgeKey key, EdgeRow row)
    {
        lock (Ledger.Lock)
        {
            Edges.Add(key, RowFields.RowOf(row));
            Ledger.Commit();
        }
    }

    /// <summary>Some bytes, each in a packet, sent and received.</summary>
    internal void Count(EdgeKey key, ulong bytes) => Count(key, RowOf(bytes));

    internal static EdgeRow RowOf(ulong bytes) => new() { TransmitBytes = bytes, TransmitPackets = bytes, ReceiveBytes = 2 * bytes, ReceivePackets = bytes };

    internal void Commit()
    {
        lock (Ledger.Lock)
        {
            Ledger.Commit();
        }
    }

    internal void Settle() => Pods.Settle();

    /// <summary>Time passes, and a drain ends.</summary>
    internal void Pass(TimeSpan time)
    {
        Time.Advance(time);
        Settle();
    }

    /// <summary>The families of edges alone.</summary>
    internal string Write(Exposition.ExpositionFormat format = Exposition.ExpositionFormat.Text)
    {
        const string Totals = "# HELP podnet_exporter_";
        var all = WriteAll(format);
        var first = all.IndexOf("# HELP podnet_edge_", StringComparison.Ordinal);
        return first < 0 ? "" : all[first..all.IndexOf(Totals, first, StringComparison.Ordinal)];
    }

    /// <summary>All families.</summary>
    internal async Task<ScrapedText> ScrapeAsync() => ScrapedText.Parse(WriteAll(Exposition.ExpositionFormat.Text) + await ScrapedText.WriteAsync(Registry));

    private string WriteAll(Exposition.ExpositionFormat format)
    {
        var text = new ArrayBufferWriter<byte>();
        _writer.Write(text, format);
        return Encoding.UTF8.GetString(text.WrittenSpan);
    }
}
