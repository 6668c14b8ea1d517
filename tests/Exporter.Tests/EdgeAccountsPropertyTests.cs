using CsCheck;
using Exporter.Edges;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>
/// Truths about edges whatever happens: workloads count to peers, time passes, edges leave, the exporter is killed and started again, also with fewer lines,
/// and it is scraped after each commit.
/// </summary>
public sealed class EdgeAccountsPropertyTests
{
    private const int Owners = 8;
    private const int Peers = 12;

    /// <summary>Room for every workload, but not for every edge: a place has 12 lines, an edge 8; the node has a place, too.</summary>
    private const int RoomForOwners = 12 + (Owners * 12) + (Owners * 8);

    private static readonly Gen<EdgeRow> Rows =
        from sent in Gen.ULong[0, 1000]
        from received in Gen.ULong[0, 1000]
        from client in Gen.ULong[0, 2]
        from server in Gen.ULong[0, 2]
        from rtt in Gen.ULong[0, 3]
        select new EdgeRow
        {
            TransmitBytes = sent * 60,
            TransmitPackets = sent,
            ReceiveBytes = received * 60,
            ReceivePackets = received,
            ClientConnections = client,
            ServerConnections = server,
            RttSum = rtt * 1_000_000_000,
            RttCount = rtt,
        };

    /// <summary>A few of the workloads have many peers.</summary>
    private static readonly Gen<EdgeKey> Keys =
        from owner in Gen.OneOf(Gen.Int[0, 1], Gen.Int[0, Owners - 1])
        from peer in Gen.Int[0, Peers]
        select OwnerOf(owner) is var key && peer == Peers ? key.ToUnrecorded : key with { PeerKind = "service", PeerNamespace = "data", Peer = $"p{peer}" };

    private static readonly Gen<Action<History>> Steps = Gen.Frequency(
        (20, from key in Keys from row in Rows select new Action<History>(history => history.Count(key, row))),
        (3, from rows in Gen.Select(Keys, Rows).List[1, 30] select new Action<History>(history => rows.ForEach(row => history.Count(row.Item1, row.Item2)))),
        (3, Gen.Const(new Action<History>(history => history.Settle()))),
        (2, from seconds in Gen.Int[1, 130] select new Action<History>(history => history.Pass(seconds))),
        (1, from key in Keys from row in Rows select new Action<History>(history => history.Kill(key, row))));

    [Fact]
    public Task Sums_are_right_no_line_is_over_and_no_series_goes_back_in_a_pool_of_any_size() =>
        (from lines in Gen.Int[12, 150] from steps in Steps.List[1, 60] select (lines, steps)).SampleAsync(
            async drawn =>
            {
                var history = new History(drawn.lines);
                foreach (var step in drawn.steps)
                {
                    step(history);
                    await history.CheckAsync();
                }
            },
            iter: 100,
            print: drawn => $"{drawn.lines} lines, {drawn.steps.Count} steps");

    /// <summary>Without retirements: no time passes. An edge without room is among the workload's others from its first count.</summary>
    [Fact]
    public Task Where_each_workload_has_a_place_the_sum_over_its_peers_is_what_was_added_for_it() =>
        (from rows in Gen.Select(Keys, Rows).List[1, 120] from kill in Gen.Int[0, 120] select (rows, kill)).SampleAsync(
            async drawn =>
            {
                var history = new History(RoomForOwners);
                foreach (var (number, (key, row)) in drawn.rows.Index())
                {
                    history.Count(key, row);
                    if (number == drawn.kill)
                    {
                        history.Kill(key, row);
                    }
                    await history.CheckAsync();
                    history.CheckOwners();
                }
            },
            iter: 60,
            print: drawn => $"{drawn.rows.Count} rows, killed after {drawn.kill}");

    /// <summary>An equal share is an edge here.</summary>
    [Fact]
    public Task A_workload_with_one_peer_is_never_folded_for_the_sake_of_others() =>
        (from rows in Gen.Select(Keys, Rows).List[1, 120] from start in Gen.Int[0, 80] select (rows, start)).SampleAsync(
            async drawn =>
            {
                var history = new History(RoomForOwners + 12 + 8);
                var quiet = OwnerOf(Owners) with { PeerKind = "service", PeerNamespace = "data", Peer = "db" };
                var bytes = 0ul;
                foreach (var (number, (key, row)) in drawn.rows.Index())
                {
                    history.Count(key, row);
                    if (number < drawn.start)
                    {
                        continue;
                    }
                    history.Count(quiet, new() { TransmitBytes = 1 });
                    await history.CheckAsync();
                    Assert.Equal(++bytes, history.Last[$"podnet_edge_transmit_bytes_total{{namespace=\"n2\",workload=\"w{Owners}\",workload_kind=\"Deployment\",peer_kind=\"service\",peer_namespace=\"data\",peer=\"db\"}}"]);
                }
            },
            iter: 30,
            print: drawn => $"{drawn.rows.Count} rows, one peer from {drawn.start} on");

    [Fact]
    public void The_key_of_an_edge_is_read_as_it_was_written() =>
        Gen.Select(Gen.Enum<EdgeLevel>(), Gen.String[0, 40].Array[6]).Sample((level, texts) =>
        {
            // Half of a surrogate pair is no text; labels have none.
            var key = new EdgeKey(texts[0], texts[1], texts[2], texts[3], texts[4], texts[5]).MakeSafe();
            Assert.Equal((level, key), EdgeKey.Read(key.Write(level)));
        });

    private static EdgeKey OwnerOf(int number) => new($"n{number % 3}", $"w{number}", "Deployment", "", "", "");

    /// <summary>A node, and beside it the sums of the rows that were committed.</summary>
    private sealed class History(int lines)
    {
        private static readonly (string Family, Func<EdgeRow, ulong> Read)[] Families =
        [
            ("podnet_edge_transmit_bytes_total", row => row.TransmitBytes), ("podnet_edge_transmit_packets_total", row => row.TransmitPackets),
            ("podnet_edge_receive_bytes_total", row => row.ReceiveBytes), ("podnet_edge_receive_packets_total", row => row.ReceivePackets),
        ];

        private readonly Dictionary<(string Family, string Owner), double> _counted = [];

        /// <summary>The last values of series that are gone.</summary>
        private readonly Dictionary<(string Family, string Owner), double> _gone = [];
        private EdgeNode _node = NewNode(lines, null);

        internal Dictionary<string, double> Last { get; private set; } = [];

        internal void Count(EdgeKey key, EdgeRow row)
        {
            if (key.IsUnrecorded)
            {
                (row.ClientConnections, row.ServerConnections, row.RttSum, row.RttCount) = (0, 0, 0, 0);
            }
            _node.Count(key, row);
            foreach (var (family, read) in Families)
            {
                Sum(_counted, (family, key.Workload), read(row));
            }
            Sum(_counted, ("connections{role=\"client\"}", ""), row.ClientConnections);
            Sum(_counted, ("connections{role=\"server\"}", ""), row.ServerConnections);
        }

        internal void Settle() => _node.Settle();

        internal void Pass(int seconds) => _node.Pass(TimeSpan.FromSeconds(seconds));

        /// <summary>Killed with a row that is not committed, and started again.</summary>
        internal void Kill(EdgeKey key, EdgeRow row)
        {
            var before = _node.Write();
            var uncommitted = NewNode(lines, _node);
            uncommitted.Add(key, row);
            _node = NewNode(lines, uncommitted);
            Assert.Equal(before, _node.Write());
        }

        internal async Task CheckAsync()
        {
            var scrape = await _node.ScrapeAsync();
            var now = scrape.Samples.Where(sample => sample.StartsWith("podnet_edge_", StringComparison.Ordinal)).ToDictionary(sample => sample, sample => scrape[sample]);
            Assert.InRange(now.Count, 0, lines);
            Assert.Equal(_node.Pods.Lines, now.Count);
            foreach (var (sample, value) in Last)
            {
                if (now.TryGetValue(sample, out var later))
                {
                    Assert.True(later >= value, $"{sample} went back from {value} to {later}");
                }
                else
                {
                    Sum(_gone, KeyOf(sample), value);
                }
            }
            Last = now;
            foreach (var unit in (string[])["bytes", "packets"])
            {
                foreach (var direction in (string[])["transmit", "receive"])
                {
                    var family = $"podnet_edge_{direction}_{unit}_total";
                    var retired = scrape[$"podnet_exporter_retired_edge_{unit}_total{{direction=\"{direction}\"}}"];
                    Assert.Equal(SumOf(_counted, family), SumOf(family) + retired);
                    // Between two scrapes series come and go, too.
                    Assert.InRange(SumOf(_gone, family), 0, retired);
                }
            }
            foreach (var role in (string[])["client", "server"])
            {
                Assert.Equal(
                    _counted.GetValueOrDefault(($"connections{{role=\"{role}\"}}", "")),
                    now.Where(sample => sample.Key.EndsWith($"role=\"{role}\"}}", StringComparison.Ordinal)).Sum(sample => sample.Value)
                        + scrape[$"podnet_exporter_retired_edge_connections_total{{role=\"{role}\"}}"]);
            }
        }

        /// <summary>The series of each workload, with those that are gone, are all that was counted for it.</summary>
        internal void CheckOwners()
        {
            var sums = new Dictionary<(string Family, string Owner), double>(_gone);
            foreach (var (sample, value) in Last)
            {
                Sum(sums, KeyOf(sample), value);
            }
            foreach (var (key, value) in _counted.Where(counted => counted.Key.Owner.Length > 0))
            {
                Assert.Equal((key, value), (key, sums.GetValueOrDefault(key)));
            }
        }

        private static EdgeNode NewNode(int lines, EdgeNode? previous) => new([("Edges:Level", "workload")], previous?.Memory.Copy(), previous?.Time, lines);

        private static void Sum<TKey>(Dictionary<TKey, double> sums, TKey key, double value)
            where TKey : notnull => sums[key] = sums.GetValueOrDefault(key) + value;

        private static double SumOf(Dictionary<(string Family, string Owner), double> sums, string family) => sums.Where(sum => sum.Key.Family == family).Sum(sum => sum.Value);

        private double SumOf(string family) => Last.Where(sample => sample.Key.StartsWith(family + "{", StringComparison.Ordinal)).Sum(sample => sample.Value);

        /// <summary>The family and the workload.</summary>
        private static (string Family, string Owner) KeyOf(string sample) => (sample[..sample.IndexOf('{', StringComparison.Ordinal)], ScrapedText.LabelValuesOf(sample)[1]);
    }
}
