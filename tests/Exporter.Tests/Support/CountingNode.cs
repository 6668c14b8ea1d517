using System.Buffers;
using System.Text;
using Exporter.Accounts;
using Exporter.Bpf.Netlink;
using Exporter.Commands;
using Exporter.Exposition;
using Exporter.Interfaces;
using Exporter.Pods;
using Exporter.Signals;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.State;
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
        : this(null, settings)
    {
    }

    /// <param name="plan">Null: the options'.</param>
    /// <param name="memory">Of a ledger that a former process has left; null: there is none.</param>
    internal CountingNode(SeriesPlan? plan, (string Key, string? Value)[] settings, KeptMemory? memory = null)
    {
        Memory = memory ?? new();
        Ledger = Ledger.OpenIn(Memory);
        Options = TestOptions.Read(settings);
        Factory = Prometheus.Metrics.WithCustomRegistry(Registry);
        Metrics = new(Factory, Ledger, EverySignal.Totals);
        (Drains, TrafficLosses, HandshakeLosses, State) = (new(Factory, EverySignal.SignalRows), new(Factory), new(Factory, Ledger), new(Factory));
        Interfaces = new(Factory);
        ProcessMetrics.ShowBuild(Factory);
        ProcessMetrics.ShowStandby(Factory, null);
        Labels = Options.CreateLabels();
        Pods = new(Metrics, Time, Labels, Options.Metrics, plan ?? Options.CreatePlan(), Ledger, Logger);
        Context = new SessionContext(Table, Metrics, Pods, Ledger, Factory, Time, Options.Identity.HoldFor, Options.Drain.Interval);
        Traffic = new(Source, Source.ReadLoss, TrafficLosses, Context);
        Handshakes = new(HandshakeSource, HandshakeSource, HandshakeLosses, Options.Signals.OfType<HandshakeSignal>().Single().Options.Buckets, Context);
    }

    internal static PodName Web { get; } = new("shop", "web");

    internal static PodName Database { get; } = new("shop", "database");

    internal ExporterOptions Options { get; }

    /// <summary>Its timestamps are those of a machine that has been up for ten days, as CLOCK_MONOTONIC has them.</summary>
    internal FakeTimeProvider Time { get; } = new(DateTimeOffset.MinValue + TimeSpan.FromDays(10));

    internal CollectorRegistry Registry { get; } = Prometheus.Metrics.NewCustomRegistry();

    internal IMetricFactory Factory { get; }

    /// <summary>What stays of the ledger when the process ends.</summary>
    internal KeptMemory Memory { get; }

    internal Ledger Ledger { get; }

    internal AccountMetrics Metrics { get; }

    internal DrainMetrics Drains { get; }

    internal TrafficLosses TrafficLosses { get; }

    internal HandshakeLosses HandshakeLosses { get; }

    internal StateMetrics State { get; }

    internal InterfaceMetrics Interfaces { get; }

    internal PodLabels Labels { get; }

    internal RecordingLogger<PodAccounts> Logger { get; } = new();

    internal PodAccounts Pods { get; }

    internal PodTable Table { get; } = new();

    internal SessionContext Context { get; }

    internal FakeTrafficSource Source { get; } = new();

    internal TrafficDrain Traffic { get; }

    internal FakeHandshakeSource HandshakeSource { get; } = new();

    internal HandshakeDrain Handshakes { get; }

    public void Dispose() => Source.Dispose();

    /// <summary>The process was killed, and this is the next one. Nothing of what it had in its own memory is left.</summary>
    internal CountingNode StartAgain(params (string Key, string? Value)[] settings) => new(null, settings, Memory.Copy());

    internal static PodInterface NewInterface(int ifindex, long generation, IPodAccount? counts = null) =>
        new(new(ifindex, $"veth{ifindex}", "veth", 0, 0, null), generation, seenAt: default) { Counts = counts };

    /// <summary>An interface appears; without a pod it is not known yet whose it is.</summary>
    internal PodInterface Appear(int ifindex, long generation, PodName? pod = null) =>
        Publish(NewInterface(ifindex, generation, pod is { } known ? Acquire(known) : null));

    /// <summary>It becomes known whose interface it is.</summary>
    internal void Identify(int ifindex, PodName pod) => Table.Current[ifindex].Counts = Acquire(pod);

    /// <summary>An interface is gone and forgotten.</summary>
    internal void Forget(int ifindex)
    {
        if (Table.Current[ifindex].Counts is { } counts)
        {
            Pods.Release(counts);
        }
        Table.Current = Table.Current.Remove(ifindex);
    }

    /// <summary>An interface had traffic, and it is drained.</summary>
    internal void Count(int ifindex, TrafficValue traffic)
    {
        Source.Put(ifindex, traffic);
        Traffic.Drain();
    }

    /// <summary>An interface that leads to a network namespace appears; without a pod it is not known yet whose it is.</summary>
    /// <returns>Whose index is the namespace's number.</returns>
    internal PodInterface Join(ulong network, PodName? pod = null)
    {
        var owner = Appear((int)network, (long)network, pod);
        Table.ByNamespace = Table.ByNamespace.SetItem(network, owner);
        return owner;
    }

    /// <summary>The host's own namespace, which no interface leads to.</summary>
    internal IPodAccount JoinHost(ulong network)
    {
        var series = Pods.AcquireHost();
        Table.ByNamespace = Table.ByNamespace.SetItem(network, NewInterface(0, 0, series));
        return series;
    }

    /// <summary>The interface that led to a network namespace is gone and forgotten.</summary>
    internal void Leave(ulong network)
    {
        Forget((int)network);
        Table.ByNamespace = Table.ByNamespace.Remove(network);
    }

    /// <summary>A network namespace that an interface leads to, be it counted yet or not, had handshakes, and they are drained.</summary>
    internal void Count(ulong network, HandshakeValue handshakes)
    {
        LeadTo(network);
        CountInside(network, handshakes);
    }

    /// <summary>An interface leads to a network namespace.</summary>
    internal void LeadTo(ulong network) => Table.PublishPeers(Table.PeerNamespaces.Append(network).Select(number => new LinkIdentity(number, Birth: 0)));

    /// <summary>A network namespace that no interface has to lead to had handshakes, and they are drained.</summary>
    internal void CountInside(ulong network, HandshakeValue handshakes)
    {
        HandshakeSource.Put(network, handshakes);
        Handshakes.Drain();
    }

    /// <summary>A pod has every transport, every failure and all else that there is a series for.</summary>
    /// <param name="ifindex">Of an interface that joined.</param>
    internal void CountEverything(int ifindex)
    {
        foreach (var transport in Enum.GetValues<Transport>())
        {
            Count(ifindex, Counted.Both(Counted.Sent(1, 100, 1, transport), Counted.Delivered(1, 100, 1, transport)));
        }
        Count(ifindex, new() { Transmit = Counted.Sizes((1, 60)) });
        Count((ulong)ifindex, Counted.Everything);
    }

    /// <summary>After a drain, which commits what a test has added itself.</summary>
    internal Task<ScrapedText> ScrapeAsync()
    {
        Commit();
        return ScrapeCommittedAsync();
    }

    /// <summary>As the program writes it after a drain.</summary>
    internal async Task<ScrapedText> ScrapeCommittedAsync() => ScrapedText.Parse(WritePods() + await ScrapedText.WriteAsync(Registry));

    /// <summary>The pods' families alone.</summary>
    internal string WritePods(Exposition.ExpositionFormat format = Exposition.ExpositionFormat.Text)
    {
        var text = new ArrayBufferWriter<byte>();
        new SnapshotWriter(Pods).Write(text, format);
        return Encoding.UTF8.GetString(text.WrittenSpan);
    }

    internal void Commit()
    {
        lock (Ledger.Lock)
        {
            Ledger.Commit();
        }
    }

    /// <summary>A pod's series, as its interface has them.</summary>
    internal IPodAccount Acquire(PodName pod) => Pods.Acquire(Labels.Identify(new(pod.Namespace, pod.Name)));

    private PodInterface Publish(PodInterface entry)
    {
        Table.Current = Table.Current.SetItem(entry.Ifindex, entry);
        return entry;
    }
}
