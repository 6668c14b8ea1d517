using Exporter.Bpf;
using Exporter.Signals;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class TrafficDrainTests : IDisposable
{
    private readonly CountingNode _node = new(("Identity:HoldFor", "00:00:30"));

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Rows_of_an_interface_that_is_not_in_the_table_are_unattributed()
    {
        _node.Count(99, Counted.Both(Counted.Sent(2, 200), Counted.Delivered(3, 330)));

        await AssertUnattributedAsync(transmitted: (2, 200), received: (3, 330));
    }

    [Fact]
    public async Task Rows_of_a_known_pod_are_not_unattributed()
    {
        _node.Appear(7, 1, CountingNode.Web);

        _node.Count(7, Counted.Both(Counted.Sent(2, 200), Counted.Delivered(3, 330)));

        await AssertUnattributedAsync(default, default);
    }

    /// <summary>The table is looked at after the rows have come: an interface is in it before its first packet.</summary>
    [Fact]
    public async Task An_interface_that_appears_during_a_drain_gets_its_rows()
    {
        _node.Source.WhileDraining = () => _node.Appear(7, 1, CountingNode.Web);

        _node.Count(7, Counted.Sent(1, 100));

        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    [Fact]
    public void An_interfaces_totals_are_its_packets_over_all_transports()
    {
        var entry = _node.Appear(7, 1, CountingNode.Web);
        _node.Appear(8, 2, CountingNode.Web);

        _node.Count(7, Counted.Both(Counted.Sent(2, 200), Counted.Sent(5, 500, transport: Transport.Udp)));
        _node.Count(7, Counted.Delivered(3, 330));
        _node.Count(8, Counted.Delivered(9, 900));

        Assert.Equal(((7ul, 700ul), (3ul, 330ul)), (entry.Totals.Transmitted, entry.Totals.Received));
    }

    [Fact]
    public void An_interface_whose_pod_is_not_known_has_totals_as_well()
    {
        var entry = _node.Appear(7, 1);

        _node.Count(7, Counted.Sent(2, 200));

        Assert.Equal(2ul, entry.Totals.Transmitted.Packets);
    }

    [Fact]
    public void What_is_credited_is_packets_and_bytes_of_both_directions()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Appear(8, 2);

        _node.Source.Put(7, Counted.Both(Counted.Sent(2, 200), Counted.Delivered(3, 330)));
        _node.Source.Put(8, Counted.Sent(1, 60));
        _node.Source.Put(99, Counted.Sent(1, 60));
        _node.Traffic.Drain();
        Assert.Equal((5ul, 530ul), _node.Traffic.Credited);

        _node.Identify(8, CountingNode.Database);
        _node.Traffic.Drain();
        Assert.Equal((6ul, 590ul), _node.Traffic.Credited);
    }

    [Theory]
    [InlineData((int)LossReason.MapFull, "map_full")]
    [InlineData((int)LossReason.MapBusy, "map_busy")]
    [InlineData((int)LossReason.MapError, "map_error")]
    public async Task Losses_are_told_with_every_drain(int reason, string label)
    {
        _node.Source.SetLoss((LossReason)reason, new(4, 440));
        _node.Traffic.Drain();
        _node.Source.SetLoss((LossReason)reason, new(6, 660));
        _node.Traffic.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(6, scrape[$"podnet_exporter_lost_packets_total{{reason=\"{label}\"}}"]);
        Assert.Equal(660, scrape[$"podnet_exporter_lost_bytes_total{{reason=\"{label}\"}}"]);
        Assert.Equal(2, scrape.Samples.Count(sample =>
            sample.StartsWith("podnet_exporter_lost_packets_total", StringComparison.Ordinal) && scrape[sample] == 0));
    }

    [Fact]
    public void A_drain_has_started_before_it_fetches_and_is_completed_after()
    {
        List<(long Started, long Completed)> during = [];
        _node.Source.WhileDraining = () => during.Add((_node.Traffic.Started, _node.Traffic.Completed));
        Assert.Equal((0, 0), (_node.Traffic.Started, _node.Traffic.Completed));

        _node.Traffic.Drain();
        _node.Traffic.Drain();

        Assert.Equal([(1, 0), (2, 1)], during);
        Assert.Equal((2, 2), (_node.Traffic.Started, _node.Traffic.Completed));
    }

    [Fact]
    public void A_drain_that_fails_has_started_and_is_not_completed()
    {
        _node.Traffic.Drain();
        _node.Source.Fails = true;

        Assert.Throws<BpfException>(() => _node.Traffic.Drain());

        Assert.Equal((2, 1), (_node.Traffic.Started, _node.Traffic.Completed));
    }

    /// <summary>
    /// Who has read Started before it waits for a greater Completed: neither a drain that began earlier satisfies it, nor one that goes
    /// on with the same map.
    /// </summary>
    [Fact]
    public void The_drain_after_a_failed_one_is_the_same_going_on()
    {
        _node.Source.Fails = true;
        Assert.Throws<BpfException>(() => _node.Traffic.Drain());
        var started = _node.Traffic.Started;

        _node.Source.Fails = false;
        _node.Traffic.Drain();
        Assert.Equal((started, started), (_node.Traffic.Started, _node.Traffic.Completed));

        _node.Traffic.Drain();
        Assert.True(_node.Traffic.Completed > started);
    }

    [Fact]
    public void Rows_are_credited_once_although_the_map_could_not_be_emptied_and_the_drain_is_not_completed()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Source.FailsToClear = true;
        _node.Source.Put(7, Counted.Sent(1, 100));

        Assert.Throws<BpfException>(_node.Traffic.Drain);

        Assert.Equal((1ul, 100ul), _node.Traffic.Credited);
        Assert.Equal((1, 0), (_node.Traffic.Started, _node.Traffic.Completed));
    }

    [Fact]
    public async Task A_drain_that_fails_counts_nothing_and_the_next_has_it()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Source.Fails = true;
        Assert.Throws<BpfException>(() => _node.Count(7, Counted.Sent(1, 100)));
        Assert.Equal((0ul, 0ul), _node.Traffic.Credited);

        _node.Source.Fails = false;
        _node.Traffic.Drain();

        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    [Fact]
    public async Task Rows_count_once_although_the_losses_could_not_be_read()
    {
        _node.Appear(7, 1, CountingNode.Web);
        _node.Source.FailsToReadLosses = true;
        Assert.Throws<BpfException>(() => _node.Count(7, Counted.Sent(1, 100)));

        _node.Source.FailsToReadLosses = false;
        _node.Traffic.Drain();

        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    private async Task AssertUnattributedAsync((double Packets, double Bytes) transmitted, (double Packets, double Bytes) received)
    {
        var scrape = await _node.ScrapeAsync();
        Assert.Equal(transmitted, Unattributed("transmit"));
        Assert.Equal(received, Unattributed("receive"));

        (double Packets, double Bytes) Unattributed(string direction) => (
            scrape[$"podnet_exporter_unattributed_packets_total{{direction=\"{direction}\"}}"],
            scrape[$"podnet_exporter_unattributed_bytes_total{{direction=\"{direction}\"}}"]);
    }
}
