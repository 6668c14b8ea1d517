using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Rows of an interface whose pod is not known yet.</summary>
public sealed class HeldTrafficTests : IDisposable
{
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(30);

    private readonly CountingNode _node = new(("Identity:HoldFor", "00:00:30"));

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Held_rows_are_neither_credited_nor_unattributed()
    {
        _node.Appear(7, 1);

        _node.Count(7, Counted.Sent(1, 100));

        Assert.Equal((0ul, 0ul), _node.Traffic.Credited);
        Assert.Equal(0, await UnattributedBytesAsync());
        Assert.Equal(0, (await _node.ScrapeAsync()).CountPodSamples());
    }

    [Fact]
    public async Task Held_rows_of_several_drains_are_credited_when_the_pod_is_known()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Both(Counted.Sent(1, 100, 2), new() { Transmit = Counted.Sizes((2, 100)) }));
        _node.Time.Advance(Wait / 3);
        _node.Count(7, Counted.Both(Counted.Sent(1, 11, 1), Counted.Delivered(1, 60, 1, Transport.Udp)));
        _node.Time.Advance(Wait / 3);

        _node.Identify(7, CountingNode.Web);
        _node.Count(7, Counted.Sent(1, 1000, 1));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1111, scrape.Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(3, scrape.Of("podnet_transmit_packets_total", CountingNode.Web, "tcp"));
        Assert.Equal(4, scrape.Of("podnet_transmit_segments_total", CountingNode.Web, "tcp"));
        Assert.Equal(60, scrape.Of("podnet_receive_bytes_total", CountingNode.Web, "udp"));
        Assert.Equal(100, scrape[$"podnet_packet_size_bytes_sum{{{CountingNode.Web},direction=\"transmit\"}}"]);
    }

    [Fact]
    public async Task Held_rows_are_credited_once_and_without_new_traffic()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Identify(7, CountingNode.Web);

        _node.Traffic.Drain();
        _node.Traffic.Drain();
        _node.Time.Advance(Wait);
        _node.Traffic.Drain();

        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(0, await UnattributedBytesAsync());
    }

    [Fact]
    public async Task Held_rows_are_unattributed_after_the_wait_and_not_before()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Both(Counted.Sent(1, 100), Counted.Delivered(2, 220)));

        _node.Time.Advance(Wait - TimeSpan.FromTicks(1));
        _node.Traffic.Drain();
        Assert.Equal(0, await UnattributedBytesAsync());

        _node.Time.Advance(TimeSpan.FromTicks(1));
        _node.Traffic.Drain();
        _node.Traffic.Drain();
        Assert.Equal(100, await UnattributedBytesAsync("transmit"));
        Assert.Equal(220, await UnattributedBytesAsync("receive"));
    }

    [Fact]
    public async Task The_wait_counts_from_the_first_row_that_is_held()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Time.Advance(Wait / 2);
        _node.Count(7, Counted.Sent(1, 11));
        _node.Time.Advance(Wait / 2);

        _node.Traffic.Drain();

        Assert.Equal(111, await UnattributedBytesAsync());
    }

    [Fact]
    public async Task Rows_after_a_wait_that_was_in_vain_are_held_anew()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Time.Advance(Wait);
        _node.Traffic.Drain();

        _node.Count(7, Counted.Sent(1, 11));
        _node.Identify(7, CountingNode.Web);
        _node.Traffic.Drain();

        Assert.Equal(100, await UnattributedBytesAsync());
        Assert.Equal(11, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
    }

    [Fact]
    public async Task A_pod_that_becomes_known_in_the_last_moment_has_its_rows()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Time.Advance(Wait * 2);
        _node.Identify(7, CountingNode.Web);

        _node.Traffic.Drain();

        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(0, await UnattributedBytesAsync());
    }

    [Fact]
    public async Task Without_a_wait_rows_are_unattributed_at_once()
    {
        using var node = new CountingNode(("Identity:HoldFor", "00:00:00"));
        node.Appear(7, 1);

        node.Count(7, Counted.Sent(1, 100));

        Assert.Equal(100, (await node.ScrapeAsync())["podnet_exporter_unattributed_bytes_total{direction=\"transmit\"}"]);
    }

    [Fact]
    public async Task Each_interface_waits_by_itself()
    {
        _node.Appear(7, 1);
        _node.Appear(8, 2);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Time.Advance(Wait / 2);
        _node.Count(8, Counted.Sent(1, 11));
        _node.Time.Advance(Wait / 2);

        _node.Traffic.Drain();
        Assert.Equal(100, await UnattributedBytesAsync());

        _node.Identify(8, CountingNode.Database);
        _node.Traffic.Drain();
        Assert.Equal(11, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Database, "tcp"));
    }

    [Fact]
    public async Task Held_rows_of_an_interface_that_was_forgotten_are_not_lost_but_unattributed()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Forget(7);

        _node.Time.Advance(Wait);
        _node.Traffic.Drain();

        Assert.Equal(100, await UnattributedBytesAsync());
    }

    [Fact]
    public async Task Held_rows_are_credited_when_the_pod_is_known_after_its_interface_is_gone()
    {
        var gone = _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Forget(7);
        _node.Appear(7, 2, CountingNode.Database);

        gone.Counts = _node.Acquire(CountingNode.Web);
        _node.Traffic.Drain();

        Assert.Equal(100, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(0, await UnattributedBytesAsync());
    }

    [Fact]
    public async Task The_new_owner_of_an_index_never_gets_the_old_owners_held_rows()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Forget(7);
        _node.Appear(7, 2, CountingNode.Web);

        _node.Count(7, Counted.Sent(1, 11));
        Assert.Equal(11, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));

        _node.Time.Advance(Wait);
        _node.Traffic.Drain();
        Assert.Equal(11, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(100, await UnattributedBytesAsync());
    }

    [Fact]
    public async Task Two_owners_of_an_index_are_held_apart()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(1, 100));
        _node.Forget(7);
        _node.Time.Advance(Wait / 2);
        _node.Appear(7, 2);
        _node.Count(7, Counted.Sent(1, 11));

        _node.Identify(7, CountingNode.Web);
        _node.Time.Advance(Wait / 2);
        _node.Traffic.Drain();

        Assert.Equal(11, (await _node.ScrapeAsync()).Of("podnet_transmit_bytes_total", CountingNode.Web, "tcp"));
        Assert.Equal(100, await UnattributedBytesAsync());
    }

    private async Task<double> UnattributedBytesAsync(string direction = "transmit") =>
        (await _node.ScrapeAsync())[$"podnet_exporter_unattributed_bytes_total{{direction=\"{direction}\"}}"];
}
