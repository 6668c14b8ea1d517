using System.Buffers;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Exporter.Accounts;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Commands;
using Exporter.Exposition;
using Exporter.Health;
using Exporter.Interfaces;
using Exporter.Kernel.Tests.Support;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Signals.Traffic;
using Exporter.State;
using Exporter.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Prometheus;

namespace Exporter.Kernel.Tests;

/// <summary>The reconciler with real interfaces and programs, and a source of identities that the test is.</summary>
public sealed class ReconcilerTests
{
    private const int Packets = 100;


    /// <summary>Of the fake clock as of the real one: the kernel, and the thread that listens to it, know the latter only.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    [Fact]
    public async Task Traffic_from_before_the_pod_is_known_is_credited_when_it_is()
    {
        await using var node = new Node();
        using var pod = await node.AttachAsync();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Packets, 100, fromPod: true);
        node.Traffic.Drain();
        Assert.Equal((0ul, 0ul), node.Traffic.Credited);

        node.Identify(pod);

        await node.WaitForPacketsAsync(pod, Packets);
        Assert.Equal(0, node.Unattributed);
    }

    [Fact]
    public async Task Traffic_of_a_pod_that_becomes_known_after_its_interface_is_gone_is_credited()
    {
        await using var node = new Node();
        var pod = await node.AttachAsync();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Packets, 100, fromPod: true);
        pod.Dispose();
        await node.WaitAsync(() => node.Attached == 0 && node.Table.Current.IsEmpty);

        node.Identify(pod);

        await node.WaitForPacketsAsync(pod, Packets);
        Assert.Equal(0, node.Unattributed);
        await node.WaitAsync(() => node.Pods.Lines == 0, step: TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Traffic_of_a_pod_that_never_becomes_known_is_unattributed_in_the_end()
    {
        await using var node = new Node();
        var pod = await node.AttachAsync();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Packets, 100, fromPod: true);
        pod.Dispose();
        await node.WaitAsync(() => node.Attached == 0 && node.Table.Current.IsEmpty);
        Assert.Equal(0, node.Unattributed);

        node.Time.Advance(TimeSpan.FromMinutes(1));

        await node.WaitAsync(() => node.Unattributed >= Packets);
        Assert.Equal(0, node.Pods.Lines);
    }

    /// <summary>As when options change twice in a moment.</summary>
    [Fact]
    public async Task What_was_left_to_one_that_ends_before_its_first_round_is_left_to_the_next()
    {
        await using var node = new Node();
        using var pod = new Pod();
        using var left = node.Attacher.TryAttach(pod.Ifindex, TcDirection.Ingress)!;
        node.Attacher.Leave([left]);

        await node.LeaveAsync();

        Assert.Equal([left], node.Attacher.TakeLeft()!);
    }

    /// <summary>What was taken over counts before an interface is given it, and has to count by the object that is shown.</summary>
    [Fact]
    public async Task Programs_that_no_interface_was_given_yet_are_replaced_with_the_others()
    {
        await using var node = new Node();
        using var pod = new Pod();
        node.Attacher.Leave([node.Attacher.TryAttach(pod.Ifindex, TcDirection.Ingress)!, node.Attacher.TryAttach(pod.Ifindex, TcDirection.Egress)!]);
        Assert.True(node.Attacher.IsAttached(pod.Ifindex));
        // Asked for before the first round, it is done after the taking over, and before an interface is given anything.
        var replaced = node.ReplaceAsync(BpfVariants.Compile("tc", "pod_traffic", ["-mcpu=v2"]));

        await node.StartAsync();
        await replaced;

        Assert.True(node.Attacher.IsAttached(pod.Ifindex));
    }

    /// <summary>What the program composes, with a fake clock and fake identities.</summary>
    private sealed class Node : IPodSource, IAsyncDisposable
    {
        private readonly TrafficPrograms _programs = TrafficPrograms.Load(64);
        private readonly LinkClient _client = new();
        private readonly ChangeSignal _changes = new();
        private readonly PodLabels _labels;
        private readonly LinkMonitor _monitor = new();
        private readonly LinkWatcher _watcher;
        private readonly InterfaceReconciler _reconciler;
        private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
        private readonly HashSet<string> _known = [];

        internal Node()
        {
            var options = ExporterOptions.Read(new OptionReader(new ConfigurationBuilder().Build()));
            var ledger = Ledger.Open(null);
            var factory = Prometheus.Metrics.WithCustomRegistry(_registry);
            var (metrics, interfaces) = (new AccountMetrics(factory, ledger, EverySignal.Totals), new InterfaceMetrics(factory));
            var health = new LoopHealth(Time);
            _labels = options.CreateLabels();
            Pods = new(metrics, Time, _labels, options.Metrics, options.CreatePlan(), ledger, NullLogger<PodAccounts>.Instance);
            Traffic = (TrafficDrain)_programs.Loaded.Open(options.Signals[0], new(Table, metrics, Pods, ledger, factory, Time, options.Identity.HoldFor, options.Drain.Interval));
            _watcher = new(_monitor, _changes, interfaces, health, new LinkGenerations(), Time, NullLogger<LinkWatcher>.Instance);
            Attacher = new TcxAttacher(_programs.Pair);
            _reconciler = new(
                new(_watcher, Table, Pods, this, new([Traffic]), _client, Attacher, interfaces) { Time = Time, Options = options.Attach, HoldFor = options.Identity.HoldFor },
                new(ledger, _labels),
                _changes,
                health,
                new(),
                NullLogger<InterfaceReconciler>.Instance);
        }

        internal FakeTimeProvider Time { get; } = new();

        internal TcAttacher Attacher { get; }

        internal PodTable Table { get; } = new();

        internal PodAccounts Pods { get; }

        internal TrafficDrain Traffic { get; }

        internal double Attached => Sample("podnet_exporter_interfaces{state=\"attached\"}");

        internal double Unattributed => Sample("podnet_exporter_unattributed_packets_total{direction=\"transmit\"}");

        public string Name => "test";

        public void Refresh()
        {
        }

        public bool TakeChanges() => false;

        public PodIdentity? Identify(PodInterface owner)
        {
            lock (_known)
            {
                return _known.Contains(owner.Name) ? _labels.Identify(new("test", owner.Name)) : null;
            }
        }

        public void Forget(PodInterface owner)
        {
        }

        public IEnumerable<KnownPod> GetKnownPods() => [];

        internal void Identify(Pod pod)
        {
            lock (_known)
            {
                _known.Add(pod.Interface);
            }
        }

        internal Task ReplaceAsync(byte[] elf) => _reconciler.ReplaceAsync(_programs.Object, elf, CancellationToken.None);

        internal async Task StartAsync()
        {
            await _watcher.StartAsync(CancellationToken.None);
            Assert.True(SpinWait.SpinUntil(() => !_watcher.Links.Current.IsEmpty, Silence.Limit));
            await _reconciler.StartAsync(CancellationToken.None);
        }

        internal async Task<Pod> AttachAsync()
        {
            await StartAsync();
            var pod = new Pod();
            await WaitAsync(() => Attached == 1);
            return pod.Up();
        }

        /// <summary>Ends it for the sake of another in this process.</summary>
        internal Task LeaveAsync()
        {
            _reconciler.Detaching = null;
            return _reconciler.StopAsync(CancellationToken.None);
        }

        /// <summary>Lets the loops turn, a step of their clock at a time, until it is so.</summary>
        internal async Task WaitAsync(Func<bool> isSo, TimeSpan step = default)
        {
            var started = Stopwatch.GetTimestamp();
            while (!isSo())
            {
                Assert.True(Stopwatch.GetElapsedTime(started) < Silence.Limit, "it did not come about");
                Time.Advance(step == default ? Pace : step);
                Traffic.Drain();
                Pods.Settle();
                await Task.Delay(Pace);
            }
        }

        internal Task WaitForPacketsAsync(Pod pod, int packets) =>
            WaitAsync(() => Sample($"podnet_transmit_packets_total{{namespace=\"test\",pod=\"{pod.Interface}\",transport=\"udp\"}}") == packets);

        /// <summary>As a scrape would have it; 0 where there is no such series.</summary>
        private double Sample(string series)
        {
            using var text = new MemoryStream();
            _registry.CollectAndExportAsTextAsync(text).GetAwaiter().GetResult();
            var pods = new ArrayBufferWriter<byte>();
            new SnapshotWriter(Pods).Write(pods, Exposition.ExpositionFormat.Text);
            return new MetricSamples(Encoding.UTF8.GetString(pods.WrittenSpan) + Encoding.UTF8.GetString(text.ToArray()))[series] ?? 0;
        }

        public async ValueTask DisposeAsync()
        {
            await _reconciler.StopAsync(CancellationToken.None);
            await _watcher.StopAsync(CancellationToken.None);
            _reconciler.Dispose();
            _watcher.Dispose();
            _monitor.Dispose();
            _client.Dispose();
            _programs.Dispose();
        }
    }
}
