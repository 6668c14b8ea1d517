using Exporter.Bpf;
using Exporter.Pods;
using Exporter.Signals.Uplinks;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Series of the node's own interfaces, beside those of pods: their room, their retention, and that nothing goes back.</summary>
public sealed class InterfaceSeriesTests : IDisposable
{
    private const string Received = "podnet_uplink_receive_packets_total{interface=\"eth0\",class=\"udp\"}";
    private const string RetiredPackets = "podnet_exporter_retired_uplink_packets_total{direction=\"receive\"}";

    private static readonly (string, string?)[] Settings = [("Uplinks:Interfaces", "auto"), ("Metrics:Retention", "00:02:00"), ("Metrics:MaxSeries", "2000")];

    private readonly List<CountingNode> _nodes = [];
    private CountingNode _node;

    public InterfaceSeriesTests() => _node = Begin(new CountingNode(Settings));

    public void Dispose() => _nodes.ForEach(node => node.Dispose());

    [Fact]
    public async Task All_lines_are_there_with_the_first_frame()
    {
        Count(_node.Pods.AcquireInterface("eth0"), 1, 60);

        var scrape = await _node.ScrapeAsync();

        Assert.Equal(1, scrape[Received]);
        Assert.Equal(60, scrape["podnet_uplink_receive_bytes_total{interface=\"eth0\",class=\"udp\"}"]);
        Assert.Equal(0, scrape["podnet_uplink_dropped_packets_total{interface=\"eth0\",reason=\"missed\"}"]);
        Assert.Equal(0, scrape["podnet_uplink_transmit_packets_total{interface=\"eth0\",class=\"tcp_syn\"}"]);
        Assert.Equal(77, _node.Pods.Lines);
    }

    [Fact]
    public void Room_for_eight_is_set_aside_and_pods_cannot_take_it()
    {
        var plan = _node.Options.CreatePlan();
        Assert.Equal((8 * 77) + TestOptions.Read(("Metrics:MaxSeries", "2000")).CreatePlan().FixedLines, plan.FixedLines);
        for (var pod = 0; pod < 100; pod++)
        {
            _node.Join((ulong)(pod + 1), new PodName("shop", $"pod{pod}"));
            _node.CountEverything(pod + 1);
        }
        for (var number = 0; number < 8; number++)
        {
            Count(_node.Pods.AcquireInterface($"eth{number}"), 1, 60);
        }
        _node.Pods.Settle();

        Assert.True(_node.Pods.Lines <= 2000);
        Assert.All(Enumerable.Range(0, 8), number => Assert.Contains($"podnet_uplink_receive_packets_total{{interface=\"eth{number}\",class=\"udp\"}} 1\n", _node.WritePods(), StringComparison.Ordinal));
    }

    [Fact]
    public void Pods_have_no_series_of_interfaces_and_interfaces_none_of_pods()
    {
        _node.Appear(7, 7, CountingNode.Web);
        _node.Count(7, Counted.Sent(1, 100, 1));
        Count(_node.Pods.AcquireInterface("eth0"), 1, 60);
        _node.Commit();

        Assert.DoesNotContain("podnet_transmit_bytes_total{interface=", _node.WritePods(), StringComparison.Ordinal);
        Assert.DoesNotContain("podnet_uplink_receive_packets_total{namespace=", _node.WritePods(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_interface_that_returns_within_the_retention_goes_on()
    {
        var first = _node.Pods.AcquireInterface("eth0");
        Count(first, 3, 60);
        _node.Pods.Release(first);
        _node.Time.Advance(TimeSpan.FromSeconds(119));
        _node.Pods.Settle();

        Count(_node.Pods.AcquireInterface("eth0"), 4, 60);

        Assert.Equal(7, (await _node.ScrapeAsync())[Received]);
    }

    [Fact]
    public async Task After_the_retention_its_counts_are_in_the_total_of_removed_series()
    {
        var first = _node.Pods.AcquireInterface("eth0");
        Count(first, 3, 60);
        _node.Pods.Release(first);
        _node.Time.Advance(TimeSpan.FromMinutes(2));
        _node.Pods.Settle();

        var scrape = await _node.ScrapeAsync();
        Assert.False(scrape.Has(Received));
        Assert.Equal(3, scrape[RetiredPackets]);
        Assert.Equal(3 * 60, scrape["podnet_exporter_retired_uplink_bytes_total{direction=\"receive\"}"]);
    }

    [Fact]
    public async Task Another_interface_of_the_name_begins_at_zero_and_nothing_is_lost()
    {
        var first = _node.Pods.AcquireInterface("eth0");
        Count(first, 3, 60);
        _node.Pods.Release(first);

        _node.Pods.RetireInterface("eth0");
        Count(_node.Pods.AcquireInterface("eth0"), 1, 60);

        var scrape = await _node.ScrapeAsync();
        Assert.Equal((1, 3), (scrape[Received], scrape[RetiredPackets]));
    }

    [Fact]
    public async Task A_ninth_takes_the_room_of_the_one_that_left_first()
    {
        var accounts = Enumerable.Range(0, 8).Select(number => _node.Pods.AcquireInterface($"eth{number}")).ToList();
        accounts.ForEach(account => Count(account, 1, 60));
        _node.Pods.Release(accounts[5]);
        _node.Time.Advance(TimeSpan.FromSeconds(1));
        _node.Pods.Release(accounts[3]);

        Count(_node.Pods.AcquireInterface("eth8"), 1, 60);

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(8 * 77, _node.Pods.Lines);
        Assert.False(scrape.Has("podnet_uplink_receive_packets_total{interface=\"eth5\",class=\"udp\"}"));
        Assert.Equal(1, scrape["podnet_uplink_receive_packets_total{interface=\"eth3\",class=\"udp\"}"]);
        Assert.Equal(1, scrape[RetiredPackets]);
    }

    [Fact]
    public async Task Killed_and_started_again_it_goes_on_and_switched_off_it_is_retired()
    {
        Count(_node.Pods.AcquireInterface("eth0"), 3, 60);
        _node.Commit();

        _node = Begin(_node.StartAgain(Settings));
        Count(_node.Pods.AcquireInterface("eth0"), 4, 60);
        Assert.Equal(7, (await _node.ScrapeAsync())[Received]);
        _node = Begin(_node.StartAgain());

        var scrape = await _node.ScrapeAsync();
        Assert.False(scrape.Has(Received));
        Assert.Equal(7, scrape[RetiredPackets]);
    }

    [Fact]
    public void A_page_reads_what_is_committed()
    {
        var account = _node.Pods.AcquireInterface("eth0");
        var row = new ulong[UplinkRow.Fields.Count];
        account.Read(UplinkRow.Fields, row);
        Assert.DoesNotContain(row, count => count != 0);
        Count(account, 3, 60);
        account.Read(UplinkRow.Fields, row);

        Assert.Equal(3ul, row[UplinkColumns.FieldOf("receive", "udp", "packets")]);
    }

    [Fact]
    public void The_aggregation_of_pods_cannot_be_interfaces() =>
        Assert.Contains(TestOptions.ErrorsOf(("Metrics:Aggregation", "interface")), error => error.Contains("is not one of pod, workload, namespace", StringComparison.Ordinal));

    private void Count(IPodAccount account, ulong packets, ulong length)
    {
        UplinkRow row = default;
        row.Receive.Classes[(int)UplinkClass.Udp] = new(packets, packets * length);
        row.Receive.Sizes[0] = new(packets, packets * length);
        lock (_node.Ledger.Lock)
        {
            account.Add(UplinkRow.Fields, RowFields.RowOf(row));
            _node.Ledger.Commit();
        }
    }

    private CountingNode Begin(CountingNode node)
    {
        _nodes.Add(node);
        return node;
    }
}
