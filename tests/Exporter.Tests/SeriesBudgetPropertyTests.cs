using System.Globalization;
using System.Text.RegularExpressions;
using CsCheck;
using Exporter.Pods;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>
/// What holds of the budget whatever happens: pods come and go, are labelled otherwise, have traffic and handshakes, the exporter is started
/// anew with other options, and it is scraped, also while all of that goes on.
/// </summary>
public sealed partial class SeriesBudgetPropertyTests
{
    /// <summary>More pods than there are in any history.</summary>
    private const int Unlimited = 1000;

    private static readonly string[] Levels = ["same", "pod", "workload", "namespace", "off"];
    private static readonly Gen<TrafficValue> Traffic =
        from transmit in Gen.Bool
        from transport in Gen.Enum<Transport>()
        from packets in Gen.ULong[1, 100]
        from bytes in Gen.ULong[1, 1000]
        select transmit
            ? Counted.Both(Counted.Sent(packets, packets * bytes, packets + 1, transport), new() { Transmit = Counted.Sizes((packets, packets * 60)) })
            : Counted.Both(Counted.Delivered(packets, packets * bytes, packets + 1, transport), new() { Receive = Counted.Sizes((packets, packets * 60)) });

    private static readonly Gen<HandshakeValue> Handshakes =
        from client in Gen.Bool
        from role in Gen.OneOf(
            Gen.ULong[1, 3_000_000_000].Select(duration => Counted.Completed([1_000_000_000], duration)),
            Gen.Enum<HandshakeFailure>().Select(reason => Counted.Failed(reason)),
            Gen.ULong[1, 3].Select(Counted.Resent))
        select client ? Counted.Handshakes(role) : Counted.Handshakes(server: role);

    private static readonly Gen<(string, string?)[]> Settings =
        from buckets in OneOf("1", "0.001;1")
        from labels in OneOf("namespace;pod", "pod", "node;namespace;pod", "node", "namespace;workload;label:app", "label:app")
        from aggregation in OneOf("pod", "workload", "namespace")
        from segments in OneOf(Levels)
        from sizes in OneOf(Levels)
        from handshakes in OneOf(Levels)
        from spare in Gen.Int[0, 2500]
        from pods in Gen.OneOf(Gen.Const(Unlimited), Gen.Int[0, 5])
        from retention in OneOf("00:00:00", "00:01:00")
        select WithBudget(
            spare,
            ("Handshake:Buckets", buckets),
            ("Metrics:PodLabels", labels),
            ("Metrics:Aggregation", aggregation),
            ("Metrics:Segments", segments),
            ("Metrics:PacketSizes", sizes),
            ("Metrics:Handshakes", handshakes),
            ("Metrics:MaxPods", $"{pods}"),
            ("Metrics:Retention", retention));

    private static readonly Gen<Action<History>> Steps = Gen.Frequency(
        (4, from i in Gen.Int[0, 99] select new Action<History>(history => history.Appear(i))),
        (10, from i in Gen.Int[0, 99] from traffic in Traffic select new Action<History>(history => history.Count(i, traffic))),
        (5, from i in Gen.Int[0, 99] from handshakes in Handshakes select new Action<History>(history => history.Count(i, handshakes))),
        (2, from handshakes in Handshakes select new Action<History>(history => history.CountHost(handshakes))),
        (3, from i in Gen.Int[0, 99] select new Action<History>(history => history.Leave(i))),
        (1, from i in Gen.Int[0, 99] from name in Gen.Int[0, 99] select new Action<History>(history => history.Relabel(i, name))),
        (2, from seconds in Gen.Int[1, 90] select new Action<History>(history => history.Pass(TimeSpan.FromSeconds(seconds)))),
        (2, Gen.Const(new Action<History>(history => history.Settle()))),
        (1, from settings in Settings select new Action<History>(history => history.Restart(settings))));

    [Fact]
    public Task Budget_sums_and_direction_of_time_hold_in_any_history() =>
        (from settings in Settings from steps in Steps.List[0, 60] select (settings, steps)).SampleAsync(
            async drawn =>
            {
                using var history = new History(drawn.settings);
                foreach (var step in drawn.steps)
                {
                    step(history);
                    history.Check(await history.Node.ScrapeCommittedAsync());
                }
            },
            iter: 250,
            print: Print);

    /// <summary>Between two scrapes all pods make room for others, which use all of it at once.</summary>
    [Fact]
    public void No_scrape_has_more_lines_than_the_budget() =>
        (from settings in Settings from crowds in Gen.Int[1, 40].Array[2, 4] select (settings, crowds)).Sample(
            drawn =>
            {
                using var history = new History(drawn.settings);
                foreach (var namespaces in drawn.crowds)
                {
                    history.Replace(namespaces);
                    var lines = history.Node.WritePods().Split('\n').Count(line => PodFamily().IsMatch(line));
                    Assert.InRange(lines, 0, history.Node.Options.Metrics.MaxSeries);
                }
            },
            iter: 250);

    [Fact]
    public Task While_a_block_waits_for_lines_fewer_are_free_than_the_largest_block_has() =>
        (from settings in Settings from crowds in Gen.Int[1, 40].Array[2, 4] select (settings, crowds)).SampleAsync(
            async drawn =>
            {
                using var history = new History(drawn.settings);
                foreach (var namespaces in drawn.crowds)
                {
                    history.Replace(namespaces);
                    history.Settle();
                    var scrape = await history.Node.ScrapeCommittedAsync();
                    history.CheckUse(scrape, [.. scrape.Samples.Where(sample => PodFamily().IsMatch(sample))]);
                }
            },
            iter: 250);

    private static Gen<string> OneOf(params string[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static (string, string?)[] WithBudget(int spare, params (string Key, string? Value)[] settings)
    {
        var options = TestOptions.Read(settings);
        return [.. settings, ("Metrics:MaxSeries", $"{options.CreatePlan().FixedLines + spare}")];
    }

    private static string Print(((string Key, string? Value)[] Settings, List<Action<History>> Steps) drawn) =>
        $"{string.Join(' ', drawn.Settings.Select(setting => $"{setting.Key}={setting.Value}"))}, {drawn.Steps.Count} steps";

    [GeneratedRegex("^podnet_(transmit|receive|packet|tcp)_")]
    private static partial Regex PodFamily();

    /// <summary>A node, and beside it what should have been counted.</summary>
    private sealed class History : IDisposable
    {
        private const int Crowd = 40;
        private const ulong HostNetwork = 1_000_000;
        private const string Other = "\"__other__\"";

        private readonly List<(int Ifindex, PodIdentity Pod)> _interfaces = [];

        /// <summary>Of their pods.</summary>
        private readonly List<int> _numbers = [];
        private readonly Dictionary<string, double> _counted = [];
        private readonly Dictionary<string, double> _gone = [];
        private readonly Dictionary<string, double> _goneOthers = [];

        /// <summary>By the labels as the exposition writes them, of every level.</summary>
        private readonly Dictionary<(SeriesLevel? Level, string Labels), int> _users = [];
        private readonly Dictionary<(SeriesLevel? Level, string Labels), DateTimeOffset> _released = [];

        private Dictionary<string, double> _last = [];
        private HashSet<(string Family, string Labels)> _own = [];
        private bool _hasSettled;
        private int _made;
        private int _namespaces = 5;

        internal History((string, string?)[] settings) => Restart(settings);

        internal CountingNode Node { get; private set; } = null!;

        public void Dispose() => Node.Dispose();

        /// <summary>The exporter begins anew, with these options and the pods that are there.</summary>
        internal void Restart((string, string?)[] settings)
        {
            foreach (var seen in (Dictionary<string, double>[])[_counted, _gone, _goneOthers, _last])
            {
                seen.Clear();
            }
            (_own, _hasSettled) = ([], false);
            _users.Clear();
            Node?.Dispose();
            Node = new(settings);
            Node.JoinHost(HostNetwork);
            if (Node.Options.LevelOf("podnet_tcp_handshake_failures_total") is { } level)
            {
                Use(Node.Labels.Host, level, 1);
            }
            var numbers = _numbers.ToList();
            _interfaces.Clear();
            _numbers.Clear();
            numbers.ForEach(Appear);
        }

        internal void Appear(int number)
        {
            _numbers.Add(number);
            var pod = Identify(number);
            var ifindex = ++_made;
            var owner = Node.Join((ulong)ifindex);
            (owner.Pod, owner.Counts) = (pod, Node.Pods.Acquire(pod));
            _interfaces.Add((ifindex, pod));
            Use(pod, 1);
        }

        internal void Count(int number, TrafficValue traffic)
        {
            if (Find(number) is not { } found)
            {
                return;
            }
            Node.Count(found.Ifindex, traffic);
            Add("transmit", traffic.Transmit);
            Add("receive", traffic.Receive);

            void Add(string direction, TrafficDirection counted)
            {
                foreach (var transport in Enum.GetValues<Transport>())
                {
                    var count = counted.Transports[(int)transport];
                    Expect($"podnet_{direction}_packets_total", count.Packets, transport);
                    Expect($"podnet_{direction}_bytes_total", count.Bytes, transport);
                    Expect($"podnet_{direction}_segments_total", count.Segments, transport);
                }
                Expect("podnet_packet_size_bytes_count", counted.Sizes[0].Segments, direction);
                Expect("podnet_packet_size_bytes_sum", counted.Sizes[0].Bytes, direction);
            }
        }

        internal void Count(int number, HandshakeValue handshakes)
        {
            if (Find(number) is { } found)
            {
                Count((ulong)found.Ifindex, handshakes);
            }
        }

        internal void CountHost(HandshakeValue handshakes) => Count(HostNetwork, handshakes);

        internal void Leave(int number)
        {
            if (Find(number) is { } found)
            {
                Node.Leave((ulong)found.Ifindex);
                _numbers.RemoveAt(_interfaces.IndexOf(found));
                _interfaces.Remove(found);
                Use(found.Pod, -1);
            }
        }

        internal void Relabel(int number, int name)
        {
            if (Find(number) is not { } found)
            {
                return;
            }
            var owner = Node.Table.Current[found.Ifindex];
            var before = owner.Counts!;
            var pod = Identify(name);
            (owner.Pod, owner.Counts) = (pod, Node.Pods.Acquire(pod));
            Node.Pods.Release(before);
            _numbers[_interfaces.IndexOf(found)] = name;
            _interfaces[_interfaces.IndexOf(found)] = (found.Ifindex, pod);
            Use(pod, 1);
            Use(found.Pod, -1);
        }

        /// <summary>All pods are gone for longer than the retention, and others, in so many namespaces, have everything that there is to count.</summary>
        internal void Replace(int namespaces)
        {
            _namespaces = namespaces;
            _interfaces.ToList().ForEach(found => Leave(_interfaces.IndexOf(found)));
            // Twice: those of a namespace's others leave after the pods.
            for (var i = 0; i < 2; i++)
            {
                Pass(TimeSpan.FromMinutes(1));
                Settle();
            }
            var first = _made;
            for (var i = 0; i < Crowd; i++)
            {
                Appear(first + i);
            }
            foreach (var (ifindex, _) in _interfaces)
            {
                Node.CountEverything(ifindex);
            }
        }

        internal void Pass(TimeSpan time) => Node.Time.Advance(time);

        internal void Settle()
        {
            Node.Pods.Settle();
            _hasSettled = true;
        }

        internal void Check(ScrapedText scrape)
        {
            var samples = scrape.Samples.Where(sample => PodFamily().IsMatch(sample)).ToDictionary(sample => sample, sample => scrape[sample]);

            Assert.InRange(samples.Count, 0, Node.Options.Metrics.MaxSeries);
            Assert.Equal(samples.Count, Node.Pods.Lines);
            foreach (var (sample, value) in _last)
            {
                if (samples.TryGetValue(sample, out var now))
                {
                    Assert.True(now >= value, $"{sample} went back from {value} to {now}");
                }
                else
                {
                    Sum(_gone, KeyOf(sample), value);
                    if (sample.Contains(Other, StringComparison.Ordinal))
                    {
                        Sum(_goneOthers, KeyOf(sample), value);
                    }
                }
            }
            _last = samples;
            var (sums, others) = (new Dictionary<string, double>(_gone), new Dictionary<string, double>(_goneOthers));
            foreach (var (sample, value) in samples)
            {
                Sum(sums, KeyOf(sample), value);
            }
            foreach (var (key, value) in _counted.Where(counted => LevelOf(counted.Key) is not null))
            {
                Assert.Equal((key, value), (key, sums.GetValueOrDefault(key)));
            }
            AssertEqual(scrape, "retired", _gone);
            foreach (var (sample, value) in samples.Where(sample => sample.Key.Contains(Other, StringComparison.Ordinal)))
            {
                Sum(others, KeyOf(sample), value);
            }
            AssertEqual(scrape, "folded", others);
            CheckUse(scrape, samples.Keys);
            CheckGroups(samples.Keys);
        }

        /// <summary>If a block waits for lines, fewer are free than the largest block has.</summary>
        internal void CheckUse(ScrapedText scrape, IEnumerable<string> samples)
        {
            var waits = scrape.Samples.Where(sample => sample.StartsWith("podnet_exporter_series_folded", StringComparison.Ordinal)).Any(sample => scrape[sample] > 0);
            if (_hasSettled && waits && Node.Options.Metrics.MaxPods == Unlimited)
            {
                var plan = Node.Options.CreatePlan();
                var largest = plan.Levels.Max(level => level.Blocks.ToArray().Max(block => block.Lines));
                var used = samples.Count(sample => !IsSetAside(sample));
                Assert.InRange(used, plan.MaxSeries - plan.FixedLines - largest + 1, plan.MaxSeries - plan.FixedLines);
            }
        }

        /// <summary>Whether it is a line of the host, or of the others of all namespaces.</summary>
        private static bool IsSetAside(string sample) =>
            sample.Contains("\"__host__\"", StringComparison.Ordinal)
            || sample.Contains("namespace=\"__other__\"", StringComparison.Ordinal)
            || (!sample.Contains("namespace=\"", StringComparison.Ordinal) && sample.Contains(Other, StringComparison.Ordinal));

        private static void Sum(Dictionary<string, double> sums, string key, double value) => sums[key] = sums.GetValueOrDefault(key) + value;

        private static PodIdentity Describe(PodLabels labels, int number, int namespaces) => labels.Identify(
            new($"ns{number % namespaces}", $"web-{number}") { Workload = $"web{number % 12}", WorkloadKind = "Deployment", Labels = new Dictionary<string, string> { ["app"] = $"app{number % 7}" } });

        /// <summary>The family, and the value of the label that tells its sums apart.</summary>
        private static string KeyOf(string sample) => $"{sample[..sample.IndexOf('{', StringComparison.Ordinal)]} {Own().Match(sample).Value}";

        private PodIdentity Identify(int number) => Describe(Node.Labels, number, _namespaces);

        private (int Ifindex, PodIdentity Pod)? Find(int number) => _interfaces.Count == 0 ? null : _interfaces[number % _interfaces.Count];

        private void Count(ulong network, HandshakeValue handshakes)
        {
            Node.Count(network, handshakes);
            Add("client", handshakes.Client);
            Add("server", handshakes.Server);

            void Add(string role, HandshakeRole counted)
            {
                var completed = 0ul;
                foreach (ref readonly var range in (ReadOnlySpan<HandshakeDuration>)counted.Durations)
                {
                    completed += range.Handshakes;
                }
                Expect("podnet_tcp_handshake_duration_seconds_count", completed, role, label: "role");
                Expect("podnet_tcp_handshake_failures_total", counted.Total - completed, role, label: "role");
                Expect("podnet_tcp_handshake_retransmits_total", counted.Retransmits, role, label: "role");
            }
        }

        private void Expect(string family, ulong count, Transport transport) => Expect(family, count, transport.ToString().ToLowerInvariant(), "transport");

        private void Expect(string family, ulong count, string value, string label = "direction") =>
            Sum(_counted, string.Create(CultureInfo.InvariantCulture, $"{family} {label}=\"{value}\""), count);

        /// <summary>The level of a family; null: there is no such family with these options.</summary>
        private SeriesLevel? LevelOf(string family) => Node.Options.LevelOf(family);

        /// <summary>The exporter's own totals equal what the test has seen in the series that they are of.</summary>
        private static void AssertEqual(ScrapedText scrape, string total, Dictionary<string, double> seen)
        {
            foreach (var direction in (string[])["transmit", "receive"])
            {
                foreach (var unit in (string[])["packets", "bytes"])
                {
                    var sum = seen.Where(entry => entry.Key.StartsWith($"podnet_{direction}_{unit}_total", StringComparison.Ordinal)).Sum(entry => entry.Value);
                    Assert.Equal((total, unit, sum), (total, unit, scrape[$"podnet_exporter_{total}_{unit}_total{{direction=\"{direction}\"}}"]));
                }
            }
            foreach (var role in (string[])["client", "server"])
            {
                var sum = seen.GetValueOrDefault($"podnet_tcp_handshake_duration_seconds_count role=\"{role}\"") + seen.GetValueOrDefault($"podnet_tcp_handshake_failures_total role=\"{role}\"");
                Assert.Equal((total, sum), (total, scrape[$"podnet_exporter_{total}_handshakes_total{{role=\"{role}\"}}"]));
            }
        }

        /// <summary>Who has series of its own: no more than may, nobody who is gone for too long, and everybody who had them and is there.</summary>
        private void CheckGroups(IEnumerable<string> samples)
        {
            var own = samples
                .Select(sample => (Family: sample[..sample.IndexOf('{', StringComparison.Ordinal)], Labels: PodLabelsOf(sample)))
                .Where(found => !found.Labels.Contains("\"__", StringComparison.Ordinal)).ToHashSet();
            foreach (var family in own.GroupBy(found => found.Family))
            {
                Assert.InRange(family.Count(), 0, Node.Options.Metrics.MaxPods);
            }
            foreach (var (family, labels) in own)
            {
                var key = (LevelOf(family), labels);
                Assert.True(_users.ContainsKey(key), $"{labels} was never there");
                if (_hasSettled && _users[key] == 0)
                {
                    Assert.True(Node.Time.GetUtcNow() - _released[key] < Node.Options.Metrics.Retention, $"{labels} is gone for too long");
                }
            }
            Assert.All(_own.Where(had => _users[(LevelOf(had.Family), had.Labels)] > 0), had => Assert.Contains(had, own));
            _own = [.. own.Where(found => (LevelOf(found.Family), found.Labels) is var key && _users[key] > 0)];
            _hasSettled = false;
        }

        private static string PodLabelsOf(string sample)
        {
            var labels = sample[(sample.IndexOf('{', StringComparison.Ordinal) + 1)..];
            return labels[..Own().Match(labels).Index];
        }

        private void Use(PodIdentity pod, int change)
        {
            foreach (var level in Node.Options.Levels)
            {
                Use(pod, level, change);
            }
        }

        private void Use(PodIdentity pod, SeriesLevel level, int change)
        {
            var labels = Node.Labels.At(level);
            var key = (level, string.Concat(labels.Names.Zip(labels.Select(pod.Labels).Values, (name, value) => $"{name}=\"{value}\",")));
            _users[key] = _users.GetValueOrDefault(key) + change;
            _released[key] = Node.Time.GetUtcNow();
        }
    }

    [GeneratedRegex("(transport|direction|role)=\"[a-z]+\"")]
    private static partial Regex Own();
}
