using Exporter.Records;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Which flows of an interval become which records.</summary>
public sealed class FlowShaperTests : IDisposable
{
    private const long Enough = 1 << 20;

    private static readonly JsonSchemaCheck Schema = new(RecordSchema.Write());

    private readonly ShapedNode _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public void Without_options_each_flow_has_a_record_in_the_order_of_the_rows()
    {
        var owner = _node.AddInterface("web-0");
        for (var port = 0; port < 100; port++)
        {
            _node.Add(owner, bytes: (ulong)port, 40_000 + port);
        }
        _node.AddSilent(owner, 50_000);

        var records = _node.Shape(ShapedNode.Shaper(), Enough);

        Assert.Equal([.. Enumerable.Range(0, 100).Select(port => (ulong)port), 0ul], records.Select(record => record.Bytes));
        Assert.All(records, record => Assert.Equal(1, record.Probability));
        Assert.All(records, record => Assert.Null(Schema.ErrorIn(record.Line)));
        Assert.Empty(_node.Interval.Rests);
    }

    [Fact]
    public void Flows_of_a_pod_with_the_annotation_are_filtered()
    {
        _node.Add(_node.AddInterface("quiet", isWithoutFlows: true), 1000, 1);
        _node.Add(_node.AddInterface("web-0"), 2000, 1);

        var record = Assert.Single(_node.Shape(ShapedNode.Shaper(), Enough));

        Assert.Equal(2000ul, record.Bytes);
        Assert.Equal(11ul, _node.RestPackets(RestReason.Filtered));
    }

    [Theory]
    [InlineData("Flows:Include:Namespaces", "data", "2")]
    [InlineData("Flows:Exclude:Namespaces", "data", "1 3 4 5")]
    [InlineData("Flows:Include:Namespaces", "shop", "1 2 3 4 5")]
    [InlineData("Flows:Include:Cidrs", "9.9.0.0/16;192.0.2.0/24", "3")]
    [InlineData("Flows:Exclude:Cidrs", "9.9.0.0/16", "1 2 4 5")]
    [InlineData("Flows:Include:Cidrs", "10.0.0.0/8", "1 2 3 4 5")]
    [InlineData("Flows:Exclude:Cidrs", "::/0", "1 2 3 4 5")]
    [InlineData("Flows:Exclude:Cidrs", "::/80", "1 2 3 4 5")]
    [InlineData("Flows:Include:Cidrs", "::/0;9.9.0.0/16", "3")]
    [InlineData("Flows:Include:Cidrs", "0.0.0.0/0", "1 2 3 4 5")]
    [InlineData("Flows:Include:Ports", "5430-5440;80", "2 5")]
    [InlineData("Flows:Exclude:Ports", "5430-5440;80", "1 3 4")]
    [InlineData("Flows:Include:Protocols", "udp;1", "4")]
    [InlineData("Flows:Exclude:Protocols", "17", "1 2 3 5")]
    [InlineData("Flows:Include:Classes", "service", "2")]
    [InlineData("Flows:Exclude:Classes", "internet", "2")]
    [InlineData("Flows:MinBytes", "401", "5")]
    public void A_filter_keeps_the_flows_that_match_it_and_puts_all_others_into_the_rest(string key, string value, string kept)
    {
        var owner = _node.AddInterface("web-0");
        _node.Add(owner, 100, 1);
        _node.Add(owner, 200, 2, remotePort: 5432, end: ShapedNode.Database);
        _node.Add(owner, 300, 3, remote: 0x09090001);
        _node.Add(owner, 400, 4, protocol: IpProtocol.Udp);
        _node.Add(owner, 500, 80, remotePort: 5, isLocalSource: false);

        var records = _node.Shape(ShapedNode.Shaper((key, value)), Enough);

        Assert.Equal(kept, string.Join(' ', records.Select(record => record.Bytes / 100)));
        Assert.Equal(_node.CountRows(), _node.CountRecords(records));
        Assert.All(_node.Interval.Rests, rest => Assert.True(rest[RestReason.Filtered].Packets > 0));
    }

    [Fact]
    public void A_flow_has_to_match_every_list_that_includes()
    {
        var owner = _node.AddInterface("web-0");
        _node.Add(owner, 100, 1, remotePort: 80);
        _node.Add(owner, 200, 2, remotePort: 80, protocol: IpProtocol.Udp);

        var records = _node.Shape(ShapedNode.Shaper(("Flows:Include:Ports", "80"), ("Flows:Include:Protocols", "udp")), Enough);

        Assert.Equal(200ul, Assert.Single(records).Bytes);
    }

    [Fact]
    public void Service_port_makes_one_record_of_the_flows_of_a_source_to_a_port()
    {
        var owner = _node.AddInterface("web-0");
        _node.Add(owner, 300, 10, rtt: 100);
        _node.Add(owner, 600, 20, rtt: 400, state: FlowState.Closed);
        _node.Add(owner, 900, 30, remotePort: 80);

        var records = _node.Shape(ShapedNode.Shaper(("Flows:Aggregate", "service-port")), Enough);

        Assert.Equal([(900ul, 2ul), (900ul, 1ul)], records.Select(record => (record.Bytes, record.Connections)));
        Assert.Null(Schema.ErrorIn(records[0].Line));
        Assert.DoesNotContain("\"state\"", records[0].Line, StringComparison.Ordinal);
        // Weighted by packets: 5 of 100 us, 8 of 400 us.
        Assert.Contains("\"rtt\":{\"smoothed\":284615,\"min\":100000},\"retransmits\":2", records[0].Line, StringComparison.Ordinal);
        Assert.Contains("\"source\":{\"ip\":\"10.0.0.1\",\"bytes\":600,", records[0].Line, StringComparison.Ordinal);
        Assert.Contains("\"destination\":{\"ip\":\"8.8.8.8\",\"port\":443,\"bytes\":300,", records[0].Line, StringComparison.Ordinal);
        Assert.Contains("\"start\":\"2026-11-28T10:05:01.100Z\",\"end\":\"2026-11-28T10:05:08.900Z\"", records[0].Line, StringComparison.Ordinal);
        Assert.Contains("\"state\":\"open\"", records[1].Line, StringComparison.Ordinal);
    }

    [Fact]
    public void Workload_makes_one_record_of_the_flows_of_two_ends_in_one_direction()
    {
        var owner = _node.AddInterface("web-0");
        _node.Add(owner, 300, 10, remote: 0x01010101);
        _node.Add(owner, 600, 20, remote: 0x01010102, remotePort: 80);
        _node.Add(owner, 900, 30, isLocalSource: false);
        _node.Add(owner, 1200, 40, end: ShapedNode.Database);

        var records = _node.Shape(ShapedNode.Shaper(("Flows:Aggregate", "workload")), Enough);

        Assert.Equal([900ul, 900, 1200], records.Select(record => record.Bytes));
        Assert.Distinct(records.Select(record => record.Id));
        Assert.All(records, record => Assert.Null(Schema.ErrorIn(record.Line)));
        Assert.All(records, record => Assert.DoesNotContain("\"ip\":", record.Line, StringComparison.Ordinal));
        Assert.All(records, record => Assert.DoesNotContain("\"port\":", record.Line, StringComparison.Ordinal));
        Assert.Contains("\"class\":\"internet\"", records[0].Line, StringComparison.Ordinal);
        Assert.Contains("\"service\":{\"name\":\"db\"}", records[2].Line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Flows:Aggregate", "none", Enough, "Aggregated")]
    [InlineData("Flows:Aggregate", "connection", 0, "Backpressure")]
    public void Without_flow_records_all_traffic_is_in_rest_records(string key, string value, long budget, string reason)
    {
        _node.Add(_node.AddInterface("web-0"), 300, 10);

        var records = _node.Shape(ShapedNode.Shaper((key, value)), budget);

        Assert.Empty(records);
        Assert.Equal(5ul, _node.RestPackets(Enum.Parse<RestReason>(reason)));
        Assert.Equal(_node.CountRows(), _node.CountRecords(records));
    }

    [Theory]
    [InlineData("prefix", "10.0.0.0", "8.8.0.0")]
    [InlineData("none", null, null)]
    public void Addresses_are_hidden_and_the_id_is_a_secret(string policy, string? source, string? destination)
    {
        _node.Add(_node.AddInterface("web-0"), 300, 10);
        var whole = Assert.Single(_node.Shape(ShapedNode.Shaper(), Enough, epoch: 7));

        var record = Assert.Single(_node.Shape(ShapedNode.Shaper(("Flows:Addresses", policy), ("Flows:PrefixV4", "16")), Enough, epoch: 7));

        Assert.Equal((source, destination), (AddressIn("source"), AddressIn("destination")));
        Assert.Contains("\"network\":{\"type\":\"ipv4\",\"transport\":\"tcp\",\"iana_number\":6}", record.Line, StringComparison.Ordinal);
        Assert.NotEqual(whole.Id, record.Id);
        Assert.Null(Schema.ErrorIn(record.Line));

        string? AddressIn(string end)
        {
            using var json = System.Text.Json.JsonDocument.Parse(record.Line);
            return json.RootElement.GetProperty(end).TryGetProperty("ip", out var ip) ? ip.GetString() : null;
        }
    }

    [Theory]
    [InlineData("prefix", "2001:db8:1::", "2001:db8:1::")]
    [InlineData("none", "", "")]
    public void Addresses_of_examples_are_hidden_and_none_comes_twice(string policy, string source, string examples)
    {
        var record = new FlowRecord();
        record.Source.Address = FlowAddress.Parse("2001:db8:1:2::3");
        record.Source.NatAddress = FlowAddress.Parse("2001:db8::9");
        record.ExampleHosts.AddRange([FlowAddress.Parse("2001:db8:1::4"), FlowAddress.Parse("2001:db8:1::5")]);

        ShapedNode.Shaper(("Flows:Addresses", policy)).Hide(record);

        Assert.Equal((source, true, IpFamily.Ipv6), ($"{record.Source.Address}", record.Source.NatAddress.IsNone, record.Family));
        Assert.Equal(examples, string.Join(' ', record.ExampleHosts));
    }

    [Fact]
    public void Prefixes_do_not_make_flows_one_record()
    {
        var owner = _node.AddInterface("web-0");
        _node.Add(owner, 300, 10, remote: 0x08080808);
        _node.Add(owner, 300, 10, remote: 0x08080809);

        var records = _node.Shape(ShapedNode.Shaper(("Flows:Addresses", "prefix")), Enough);

        Assert.Equal(2, records.Select(record => record.Id).Distinct().Count());
    }

    [Theory]
    [InlineData(10, 0, 100_000)]
    [InlineData(10, 0.5, 100_000)]
    [InlineData(10, 0.7, 50_000)]
    [InlineData(10, 0.9, 1000)]
    [InlineData(10, 0.91, 0)]
    [InlineData(3, 0, 30_000)]
    [InlineData(0, 0, 10_000)]
    [InlineData(100_000, 0, 6_000_000)]
    public void The_budget_is_the_rate_for_the_time_of_the_interval_and_shrinks_under_pressure(int seconds, double pressure, long expected) =>
        Assert.Equal(expected, ShapedNode.Shaper().FindBudget(TimeSpan.FromSeconds(seconds), pressure), tolerance: 1);

    [Fact]
    public void Chosen_fields_are_those_of_records() =>
        Assert.Equal(
            RecordFields.All.Where(field => field.IsRequired || field.Path == "flow.state"),
            ShapedNode.Shaper(("Flows:Fields", "flow.state")).Fields);

    [Fact]
    public void The_digest_differs_with_the_sample_of_connections() =>
        Assert.NotEqual(ShapedNode.Options().Digest, (ShapedNode.Options() with { Sampling = 10 }).Digest);

    /// <summary>The code has a bit more in the key of a flow.</summary>
    [Theory]
    [InlineData(true, 3, 3)]
    [InlineData(false, 3, 3)]
    [InlineData(true, 5, 0)]
    public void A_report_by_ICMP_has_its_type_and_its_code(bool isSent, int type, int code)
    {
        var (local, remote) = isSent ? (type, code | 0x100) : (code | 0x100, type);
        _node.Add(_node.AddInterface("web-0"), 1000, local, remote, protocol: IpProtocol.Icmp, isLocalSource: isSent);

        var record = Assert.Single(_node.Shape(ShapedNode.Shaper(), Enough));

        Assert.Contains($"\"icmp\":{{\"type\":{type},\"code\":{code}}}", record.Line, StringComparison.Ordinal);
        Assert.Null(Schema.ErrorIn(record.Line));
    }

    [Fact]
    public void The_digest_differs_with_any_option_that_shapes_records()
    {
        (string Key, string? Value)[] settings =
        [
            ("Flows:Include:Namespaces", "a"), ("Flows:Exclude:Namespaces", "a"), ("Flows:Include:Cidrs", "10.0.0.0/8"), ("Flows:Include:Ports", "1"), ("Flows:Include:Protocols", "1"),
            ("Flows:Include:Classes", "internet"), ("Flows:MinBytes", "1"), ("Flows:Aggregate", "workload"), ("Flows:Addresses", "none"), ("Flows:PrefixV4", "1"), ("Flows:PrefixV6", "1"),
            ("Flows:MaxRecordsPerSecond", "1"), ("Flows:Fields", "flow.state"),
        ];

        Assert.Distinct([ShapedNode.Shaper().Digest, .. settings.Select(setting => ShapedNode.Shaper(setting).Digest)]);
        Assert.All(settings, setting => Assert.Equal(ShapedNode.Shaper(setting).Digest, ShapedNode.Shaper(setting).Digest));
    }

    [Fact]
    public void All_wrong_options_are_said_at_once()
    {
        var errors = TestOptions.ErrorsOf(
            ("Flows:Include:Namespaces", "Shop"),
            ("Flows:Include:Cidrs", "10.0.0.1/8"),
            ("Flows:Exclude:Cidrs", "ten"),
            ("Flows:Exclude:Ports", "90-80"),
            ("Flows:Exclude:Protocols", "tpc"),
            ("Flows:Include:Classes", "pdos"),
            ("Flows:Fields", "flow.sate"),
            ("Flows:PrefixV4", "33"));

        Assert.Equal(8, errors.Count);
        Assert.Contains("Flows:Include:Cidrs: '10.0.0.1/8' has '10.0.0.1/8', which has bits behind its prefix; write 10.0.0.0/8.", errors);
        Assert.Contains(errors, error => error.StartsWith("Flows:Include:Classes: 'pdos' has 'pdos', which is not a class; the classes are internet, ", StringComparison.Ordinal));
    }
}
