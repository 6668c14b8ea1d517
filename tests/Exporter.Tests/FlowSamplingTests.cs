using CsCheck;
using Exporter.Pods;
using Exporter.Records;
using Exporter.Signals.Flows.Shaping;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Intervals with more flows than records: sums are exact, samples are fair and unbiased, and a repeat is the same.</summary>
public sealed class FlowSamplingTests : IDisposable
{
    private const int Seeds = 200;

    private static readonly JsonSchemaCheck Schema = new(RecordSchema.Write());

    private static readonly string[] Aggregations = ["connection", "service-port", "workload", "none"];

    private readonly ShapedNode _node = new();

    public void Dispose() => _node.Dispose();

    /// <summary>Rows of few addresses and ports, so that flows share parts.</summary>
    private static readonly Gen<(int Pod, int Remote, int Local, int Port, int Bytes, int State, bool IsSource, int Protocol)> Rows =
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 4], Gen.Int[1, 6], Gen.Int[1, 6], Gen.Int[0, 2000], Gen.Int[0, 5], Gen.Bool, Gen.Int[0, 3]);

    [Fact]
    public void Records_and_rests_of_any_interval_add_up_to_its_rows_and_a_repeat_is_the_same() =>
        Gen.Select(Rows.Array[0, 120], Gen.Int[0, 60], Gen.Int[0, 3], Gen.Int[0, 1], Gen.Int[0, 1], Gen.Int[0, 1]).Sample((rows, budget, aggregation, minBytes, exclude, addresses) =>
        {
            using var node = new ShapedNode();
            PodInterface[] owners = [node.AddInterface("a"), node.AddInterface("b"), node.AddInterface("b"), node.AddInterface(null)];
            foreach (var row in rows.DistinctBy(row => (row.Pod, row.Remote, row.Local, row.Port, Math.Max(row.Protocol, 1))))
            {
                byte[] protocols = [IpProtocol.Tcp, IpProtocol.Tcp, IpProtocol.Udp, IpProtocol.Icmp];
                RecordEnd?[] ends = [ShapedNode.Internet, ShapedNode.Database, ShapedNode.Internet, null, ShapedNode.Internet];
                node.Add(owners[row.Pod], (ulong)row.Bytes, row.Local, row.Port, (uint)row.Remote, protocols[row.Protocol], (FlowState)row.State, row.IsSource, ends[row.Remote]);
            }
            (string, string?)[] settings =
            [
                ("Flows:Aggregate", Aggregations[aggregation]), ("Flows:MinBytes", minBytes == 0 ? "0" : "500"), ("Flows:Exclude:Ports", exclude == 0 ? "" : "3"), ("Flows:Addresses", addresses == 0 ? "full" : "prefix"),
            ];
            var shaper = ShapedNode.Shaper(settings);

            var records = node.Shape(shaper, budget);

            Assert.Equal(node.CountRows(), node.CountRecords(records));
            Assert.Distinct(records.Select(record => record.Id));
            Assert.All(records, record => Assert.Null(Schema.ErrorIn(record.Line)));
            Assert.All(records, record => Assert.True(record.Probability is > 0 and <= 1 && (!record.IsFolded || record.Probability == 1)));
            Assert.Equal(records, node.Shape(shaper, budget));
            Assert.Equal(records, node.Shape(ShapedNode.Shaper(settings), budget));
        }, iter: 2000, threads: 1);

    [Fact]
    public void Estimates_from_samples_are_unbiased()
    {
        const int Flows = 4000, Budget = 500;
        var random = new Random(1);
        var owner = _node.AddInterface("web-0");
        for (var i = 0; i < Flows; i++)
        {
            // Many small ones, some without a byte, and a few that have most bytes.
            var bytes = i % 50 == 0 ? 0 : (ulong)Math.Pow(random.NextDouble(), -1.2) * 100;
            _node.Add(owner, bytes, 1 + i, connections: i % 3 == 0 ? 0u : 1);
        }
        var (allBytes, all) = (_node.CountRows().Values.Aggregate(0ul, (sum, count) => sum + count.Bytes), (double)Flows - ((Flows + 2) / 3));
        var shaper = ShapedNode.Shaper();
        var (bytesSum, connectionsSum, count, variance) = (0.0, 0.0, 0, 0.0);

        for (var seed = 0; seed < Seeds; seed++)
        {
            var records = _node.Shape(shaper, Budget, seed);
            bytesSum += records.Sum(record => record.Bytes / record.Probability);
            connectionsSum += records.Sum(record => record.Connections / record.Probability);
            // The estimate of the variance by Horvitz and Thompson.
            variance += records.Sum(record => record.Connections * record.Connections * (1 - record.Probability) / (record.Probability * record.Probability));
            count += records.Count;
        }

        Assert.Equal(1, bytesSum / Seeds / allBytes, tolerance: 0.01);
        // Of the mean of all seeds, four standard deviations.
        var error = 4 * Math.Sqrt(variance / Seeds / Seeds);
        Assert.InRange(error, 1, 0.03 * all);
        Assert.Equal(all, connectionsSum / Seeds, tolerance: error);
        Assert.Equal(Budget, (double)count / Seeds, tolerance: 0.02 * Budget);
    }

    /// <summary>Sums over all flows are estimated by dividing by it.</summary>
    [Theory]
    [InlineData(1000, "connection", 0.1)]
    [InlineData(20, "connection", 0.02)]
    [InlineData(1000, "service-port", 0.1)]
    [InlineData(1000, "workload", 0.1)]
    public void A_record_of_a_sample_of_connections_has_the_chance_of_both_samples(long budget, string aggregate, double expected)
    {
        var owner = _node.AddInterface("web-0");
        Enumerable.Range(1, 100).ToList().ForEach(port => _node.Add(owner, 1000, port));

        var records = _node.Shape(new FlowShaper(ShapedNode.Options(("Flows:Aggregate", aggregate)) with { Sampling = 10 }, TimeSpan.FromSeconds(10)), budget);

        Assert.NotEmpty(records);
        Assert.All(records, record => Assert.Equal(expected, record.Probability, tolerance: 1e-9));
        Assert.All(records, record => Assert.Null(Schema.ErrorIn(record.Line)));
        Assert.Equal(_node.CountRows(), _node.CountRecords(records));
    }

    [Fact]
    public void Pods_within_their_share_keep_every_record_in_the_flood_of_another()
    {
        List<PodInterface> quiet = [.. Enumerable.Range(0, 5).Select(number => _node.AddInterface($"quiet-{number}"))];
        var flooding = _node.AddInterface("flooding");
        quiet.ForEach(owner => Enumerable.Range(1, 80).ToList().ForEach(port => _node.Add(owner, 100, port, state: port % 2 == 0 ? FlowState.Refused : FlowState.Open)));
        for (var port = 1; port <= 20_000; port++)
        {
            _node.Add(flooding, 1_000_000, port);
        }

        var records = _node.Shape(ShapedNode.Shaper(), budget: 600);

        Assert.All(quiet, owner => Assert.Equal(80, records.Count(record => record.Generation == owner.Generation && record is { Probability: 1, IsFolded: false })));
        Assert.InRange(records.Count(record => record.Generation == flooding.Generation), 140, 260);
        Assert.All(records.Where(record => record.Generation == flooding.Generation), record => Assert.Equal(0.01, record.Probability, tolerance: 1e-9));
    }

    /// <summary>Else each of a pod's interfaces would have a share.</summary>
    [Fact]
    public void The_interfaces_of_a_pod_have_one_share()
    {
        PodInterface[] owners = [_node.AddInterface("twofold"), _node.AddInterface("twofold"), _node.AddInterface("single")];
        foreach (var owner in owners)
        {
            Enumerable.Range(1, 100).ToList().ForEach(port => _node.Add(owner, 100, port));
        }

        var records = _node.Shape(ShapedNode.Shaper(), budget: 200);

        Assert.Equal(100, records.Count(record => record.Generation == owners[2].Generation));
        Assert.All(records.Where(record => record.Generation != owners[2].Generation), record => Assert.Equal(0.5, record.Probability));
    }

    [Fact]
    public void Failures_of_a_pod_above_its_share_are_folded_by_ports_then_hosts_then_sources()
    {
        var owner = _node.AddInterface("scanning");
        // A scan of ports, a scan of hosts, and a flood of many sources; the last one is alone.
        Enumerable.Range(1, 300).ToList().ForEach(port => _node.Add(owner, 60, 40_000 + port, remotePort: port, remote: 1, state: FlowState.Refused));
        Enumerable.Range(1, 200).ToList().ForEach(host => _node.Add(owner, 60, 41_000 + host, remotePort: 22, remote: 1000 + (uint)host, state: FlowState.Unanswered));
        Enumerable.Range(1, 100).ToList().ForEach(host => _node.Add(owner, 60, 80, remotePort: 9, remote: 2000 + (uint)host, state: FlowState.HalfOpen, isLocalSource: false));
        _node.Add(owner, 60, 1, remotePort: 1, remote: 5, state: FlowState.Refused);
        Enumerable.Range(1, 1000).ToList().ForEach(port => _node.Add(owner, 500, port, remotePort: 443));

        var records = _node.Shape(ShapedNode.Shaper(), budget: 100);

        var folded = records.Where(record => record.IsFolded).ToList();
        Assert.Equal([(300, 0, 0), (0, 200, 0), (0, 0, 100)], folded.Select(record => ((int)record.Distinct.Ports, (int)record.Distinct.Hosts, (int)record.Distinct.Sources)));
        Assert.Equal([300ul, 200, 100], folded.Select(record => record.Connections));
        Assert.All(folded, record => Assert.Null(Schema.ErrorIn(record.Line)));
        Assert.Contains("\"examples\":{\"ports\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}", folded[0].Line, StringComparison.Ordinal);
        Assert.Contains("\"destination\":{\"port\":22,\"bytes\":4000,\"packets\":200,\"segments\":200,\"class\":\"internet\"}", folded[1].Line, StringComparison.Ordinal);
        Assert.Contains("\"sources\":[\"0.0.7.209\"", folded[2].Line, StringComparison.Ordinal);
        Assert.InRange(records.Count, 60, 140);
        Assert.Equal(_node.CountRows(), _node.CountRecords(records));
    }

    /// <summary>Ports do not differ, and so a scan of hosts that asks each twice is one, and a flood whose sources come twice, too.</summary>
    [Fact]
    public void Failures_are_folded_by_what_differs_among_them()
    {
        var owner = _node.AddInterface("scanning");
        foreach (var attempt in Enumerable.Range(0, 2))
        {
            Enumerable.Range(1, 200).ToList().ForEach(host => _node.Add(owner, 60, 41_000 + (1000 * attempt) + host, remotePort: 22, remote: 1000 + (uint)host, state: FlowState.Unanswered));
            Enumerable.Range(1, 100).ToList().ForEach(host => _node.Add(owner, 60, 80, remotePort: 9 + attempt, remote: 2000 + (uint)host, state: FlowState.HalfOpen, isLocalSource: false));
        }

        var records = _node.Shape(ShapedNode.Shaper(), budget: 100);

        Assert.Equal([(0, 200, 0), (0, 0, 100)], records.Select(record => ((int)record.Distinct.Ports, (int)record.Distinct.Hosts, (int)record.Distinct.Sources)));
        Assert.Equal([400ul, 200], records.Select(record => record.Connections));
        Assert.Equal(_node.CountRows(), _node.CountRecords(records));
    }

    [Fact]
    public void Failures_of_which_only_the_sources_port_differs_are_folded_and_keep_all_else()
    {
        var owner = _node.AddInterface("retrying");
        Enumerable.Range(1, 200).ToList().ForEach(attempt => _node.Add(owner, 60, 41_000 + attempt, remotePort: 5432, remote: 0x0a000909, state: FlowState.Unanswered));
        Enumerable.Range(1, 200).ToList().ForEach(attempt => _node.Add(owner, 60, 80, remotePort: 41_000 + attempt, remote: 0x0a000808, state: FlowState.HalfOpen, isLocalSource: false));

        var records = _node.Shape(ShapedNode.Shaper(), budget: 100);

        Assert.Equal([(1ul, 200ul), (1, 200)], records.Select(record => (record.Distinct.Ports, record.Connections)));
        Assert.Contains("\"destination\":{\"ip\":\"10.0.9.9\",\"port\":5432,", records[0].Line, StringComparison.Ordinal);
        Assert.Contains("\"examples\":{\"ports\":[5432]}", records[0].Line, StringComparison.Ordinal);
        Assert.Contains("\"source\":{\"ip\":\"10.0.8.8\",\"bytes\"", records[1].Line, StringComparison.Ordinal);
        Assert.Contains("\"port\":80,", records[1].Line, StringComparison.Ordinal);
        Assert.All(records, record => Assert.Null(Schema.ErrorIn(record.Line)));
        Assert.Equal(_node.CountRows(), _node.CountRecords(records));
    }

    [Fact]
    public void Sources_of_different_classes_are_not_folded_into_one_record()
    {
        var owner = _node.AddInterface("flooded");
        for (uint host = 1; host <= 200; host++)
        {
            _node.Add(owner, 60, 80, remotePort: 9, remote: host, state: FlowState.HalfOpen, isLocalSource: false, end: host % 2 == 0 ? ShapedNode.Internet : new() { Class = "pods" });
        }

        var records = _node.Shape(ShapedNode.Shaper(), budget: 10);

        Assert.Equal(["internet", "pods"], records.Select(record => record.Line.Contains("\"class\":\"pods\"", StringComparison.Ordinal) ? "pods" : "internet").Order());
        Assert.All(records, record => Assert.Equal(100ul, record.Distinct.Sources));
    }

    [Fact]
    public void The_attempts_of_service_ports_are_folded_too()
    {
        var owner = _node.AddInterface("scanning");
        Enumerable.Range(1, 300).ToList().ForEach(port => _node.Add(owner, 60, 40_000 + port, remotePort: port, remote: 1, state: FlowState.Refused));

        var record = Assert.Single(_node.Shape(ShapedNode.Shaper(("Flows:Aggregate", "service-port")), budget: 100));

        Assert.Equal((300ul, 300ul), (record.Distinct.Ports, record.Connections));
        Assert.Equal(_node.CountRows(), _node.CountRecords([record]));
    }

    /// <summary>A repeat knows the rows alone.</summary>
    [Fact]
    public void Flows_without_packets_do_not_change_the_records_of_others()
    {
        var owner = _node.AddInterface("web-0");
        Enumerable.Range(1, 500).ToList().ForEach(port => _node.Add(owner, (ulong)port, port));
        var shaper = ShapedNode.Shaper();
        var alone = _node.Shape(shaper, budget: 100).Select(record => (record.Id, record.Probability)).ToList();
        Enumerable.Range(1000, 4000).ToList().ForEach(port => _node.AddSilent(owner, port));

        var records = _node.Shape(shaper, budget: 100);

        Assert.Equal(alone, records.Where(record => record.Bytes > 0).Select(record => (record.Id, record.Probability)));
        Assert.InRange(records.Count(record => record.Bytes == 0), 1, 40);
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(200)]
    public void Nothing_is_allocated_for_a_record_that_is_neither_folded_nor_aggregated(long budget)
    {
        var owner = _node.AddInterface("web-0");
        Enumerable.Range(1, 2000).ToList().ForEach(port => _node.Add(owner, (ulong)port, port));
        var shaper = ShapedNode.Shaper(("Flows:Exclude:Ports", "1"), ("Flows:Include:Namespaces", "shop"), ("Flows:Include:Cidrs", "10.0.0.0/8"));
        _node.AllocatedBy(shaper, budget);

        var least = Enumerable.Range(0, 5).Min(_ => _node.AllocatedBy(shaper, budget));

        // The counts of the interface's two rests, and not one of the 2,000 records.
        Assert.InRange(least, 0, 1000);
    }

    [Fact]
    public void Groups_are_made_of_memory_that_is_there_already()
    {
        var owner = _node.AddInterface("scanning");
        Enumerable.Range(1, 2000).ToList().ForEach(port => _node.Add(owner, 60, 1, remotePort: port, state: FlowState.Refused));
        var shaper = ShapedNode.Shaper();
        _node.AllocatedBy(shaper, budget: 10);

        Assert.InRange(Enumerable.Range(0, 5).Min(_ => _node.AllocatedBy(shaper, budget: 10)), 0, 1000);
    }

    [Fact]
    public void The_expected_number_of_a_sample_is_its_target() =>
        Gen.Select(Gen.ULong[0, 1UL << 50].Array[2, 200], Gen.Double[0.01, 0.99]).Sample((sizes, part) =>
        {
            var target = sizes.Length * part;
            var (floor, threshold) = FairShare.FindThreshold(sizes.ToArray(), target);

            Assert.Equal(target, sizes.Sum(size => FairShare.ProbabilityOf(size, floor, threshold)), tolerance: 1e-6 * sizes.Length);
            Assert.All(sizes, size => Assert.True(FairShare.ProbabilityOf(size, floor, threshold) > 0));
        }, threads: 1);

    [Fact]
    public void Max_min_shares_add_up_to_the_budget() =>
        Gen.Select(Gen.Int[0, 100].Array[1, 50], Gen.Double[0, 1]).Sample((demands, part) =>
        {
            var budget = demands.Sum() * part;
            var level = FairShare.LevelOf(demands.ToArray(), budget);

            Assert.Equal(budget, demands.Sum(demand => Math.Min(demand, level)), tolerance: 1e-6);
        }, threads: 1);
}
