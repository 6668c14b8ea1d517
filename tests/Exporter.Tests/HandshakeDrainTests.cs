using Exporter.Bpf;
using Exporter.Signals.Handshakes;
using Exporter.State;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class HandshakeDrainTests : IDisposable
{
    private const ulong Network = 4026532999;
    private const ulong Other = 4026533111;
    private const ulong Microsecond = 1000;

    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(30);

    private readonly CountingNode _node = new(("Identity:HoldFor", "00:00:30"));

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Rows_of_a_known_network_go_to_its_pod_client_and_server_apart()
    {
        _node.Join(Network, CountingNode.Web);
        _node.Join(Other, CountingNode.Database);

        _node.HandshakeSource.Put(Other, Counted.Handshakes(server: Completed(40 * Microsecond)));
        _node.HandshakeSource.Put(Network, Counted.Handshakes(Completed(70 * Microsecond, 80 * Microsecond), Counted.Failed(HandshakeFailure.Reset, 3)));
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2, scrape.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(150_000, Nanoseconds(scrape, CountingNode.Web, "client"));
        Assert.Equal(3, scrape.Failures(CountingNode.Web, "server", "reset"));
        Assert.Equal(1, scrape.Durations("count", CountingNode.Database, "server"));
        Assert.Equal(40_000, Nanoseconds(scrape, CountingNode.Database, "server"));
        Assert.Empty(scrape.DurationBuckets(CountingNode.Web, "server"));
        Assert.Empty(scrape.DurationBuckets(CountingNode.Database, "client"));
        Assert.Equal((0, 0), (scrape.UnattributedHandshakes("client"), scrape.UnattributedHandshakes("server")));
    }

    [Fact]
    public async Task Two_networks_of_a_pod_sum_up()
    {
        _node.Join(Network, CountingNode.Web);
        _node.Join(Other, CountingNode.Web);

        _node.HandshakeSource.Put(Network, Counted.Handshakes(Completed(70 * Microsecond)));
        _node.HandshakeSource.Put(Other, Counted.Handshakes(Completed(80 * Microsecond)));
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2, scrape.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(150_000, Nanoseconds(scrape, CountingNode.Web, "client"));
    }

    /// <summary>The owners are looked up after the rows have come: a network is published before its first handshake.</summary>
    [Fact]
    public async Task A_network_that_is_published_during_a_drain_gets_its_rows()
    {
        _node.HandshakeSource.WhileDraining = () => _node.Join(Network, CountingNode.Web);

        _node.Count(Network, Counted.Handshakes(Counted.Resent(1)));

        Assert.Equal(1, (await _node.ScrapeAsync()).Retransmits(CountingNode.Web, "client"));
    }

    [Fact]
    public async Task Rows_of_an_unknown_network_are_neither_credited_nor_unattributed()
    {
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond), Completed(Microsecond)));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(0, scrape.CountHandshakeSamples());
        Assert.Equal((0, 0), (scrape.UnattributedHandshakes("client"), scrape.UnattributedHandshakes("server")));
    }

    /// <summary>Of a rootless container inside of a pod, or whatever somebody makes a user namespace for.</summary>
    [Fact]
    public async Task Rows_of_networks_that_no_interface_leads_to_are_unattributed_at_once_and_take_no_record()
    {
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond)));
        var segments = _node.Memory.Segments;

        for (var inside = 1ul; inside <= 1000; inside++)
        {
            _node.CountInside(inside, Counted.Handshakes(Completed(Microsecond)));
        }

        Assert.Equal(1000, (await _node.ScrapeAsync()).UnattributedHandshakes("client"));
        Assert.Equal(segments, _node.Memory.Segments);
        _node.Join(Network, CountingNode.Web);
        _node.Handshakes.Drain();
        Assert.Equal(1, (await _node.ScrapeAsync()).Durations("count", CountingNode.Web, "client"));
    }

    [Fact]
    public async Task Held_rows_of_several_drains_are_credited_when_the_network_becomes_known()
    {
        _node.Count(Network, Counted.Handshakes(Counted.Both(Completed(70 * Microsecond), Counted.Resent(2)), Completed(Microsecond)));
        _node.Time.Advance(Wait / 3);
        _node.Count(Network, Counted.Handshakes(Counted.Both(Completed(80 * Microsecond, 3_000_000_000), Counted.Failed(HandshakeFailure.Refused, 5))));

        _node.Join(Network, CountingNode.Web);
        _node.Count(Network, Counted.Handshakes(Counted.Both(Completed(90 * Microsecond), Counted.Resent(1))));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(4, scrape.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(3_000_240_000, Nanoseconds(scrape, CountingNode.Web, "client"));
        Assert.Equal(3, scrape.Durations("bucket", CountingNode.Web, "client", "0.0001"));
        Assert.Equal(3, scrape.Retransmits(CountingNode.Web, "client"));
        Assert.Equal(5, scrape.Failures(CountingNode.Web, "client", "refused"));
        Assert.Equal(1, scrape.Durations("count", CountingNode.Web, "server"));
    }

    [Fact]
    public async Task Held_rows_are_credited_when_the_pod_of_their_network_becomes_known()
    {
        _node.Join(Network);
        _node.Count(Network, Counted.Handshakes(Completed(70 * Microsecond)));
        Assert.Equal(0, (await _node.ScrapeAsync()).CountHandshakeSamples());

        _node.Table.ByNamespace[Network].Counts = _node.Acquire(CountingNode.Web);
        _node.Handshakes.Drain();

        Assert.Equal(1, (await _node.ScrapeAsync()).Durations("count", CountingNode.Web, "client"));
    }

    [Fact]
    public async Task Held_rows_are_credited_once()
    {
        _node.Count(Network, Counted.Handshakes(Completed(70 * Microsecond)));
        _node.Join(Network, CountingNode.Web);

        _node.Handshakes.Drain();
        _node.Handshakes.Drain();
        _node.Time.Advance(Wait);
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(0, scrape.UnattributedHandshakes("client"));
    }

    [Fact]
    public async Task Held_rows_are_unattributed_by_role_completed_plus_failed_after_the_wait_and_not_before()
    {
        _node.Count(Network, Counted.Handshakes(
            Counted.Both(Counted.Both(Completed(Microsecond, 70 * Microsecond, 100_000_000_000), Counted.Failed(HandshakeFailure.Refused, 10)), Counted.Resent(1000)),
            Counted.Both(Completed(Microsecond), Counted.Failed(HandshakeFailure.Other, 20))));

        _node.Time.Advance(Wait - TimeSpan.FromTicks(1));
        _node.Handshakes.Drain();
        var before = await _node.ScrapeAsync();
        Assert.Equal((0, 0), (before.UnattributedHandshakes("client"), before.UnattributedHandshakes("server")));

        _node.Time.Advance(TimeSpan.FromTicks(1));
        _node.Handshakes.Drain();
        _node.Handshakes.Drain();
        var after = await _node.ScrapeAsync();
        Assert.Equal((13, 21), (after.UnattributedHandshakes("client"), after.UnattributedHandshakes("server")));
        Assert.Equal(0, after.CountHandshakeSamples());
    }

    [Fact]
    public async Task Rows_of_a_network_whose_pod_does_not_become_known_are_unattributed_as_well()
    {
        _node.Join(Network);
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond)));

        _node.Time.Advance(Wait);
        _node.Handshakes.Drain();

        Assert.Equal(1, (await _node.ScrapeAsync()).UnattributedHandshakes("client"));
    }

    [Fact]
    public async Task The_wait_counts_from_the_first_row_that_is_held()
    {
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond)));
        _node.Time.Advance(Wait / 2);
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond)));
        _node.Time.Advance(Wait / 2);

        _node.Handshakes.Drain();

        Assert.Equal(2, (await _node.ScrapeAsync()).UnattributedHandshakes("client"));
    }

    [Fact]
    public async Task Each_network_waits_by_itself()
    {
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond)));
        _node.Time.Advance(Wait / 2);
        _node.Count(Other, Counted.Handshakes(Completed(Microsecond, Microsecond)));
        _node.Time.Advance(Wait / 2);

        _node.Handshakes.Drain();
        Assert.Equal(1, (await _node.ScrapeAsync()).UnattributedHandshakes("client"));

        _node.Join(Other, CountingNode.Web);
        _node.Handshakes.Drain();
        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2, scrape.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(1, scrape.UnattributedHandshakes("client"));
    }

    [Fact]
    public async Task Without_a_wait_rows_of_an_unknown_network_are_unattributed_at_once()
    {
        using var node = new CountingNode(("Identity:HoldFor", "00:00:00"));

        node.Count(Network, Counted.Handshakes(server: Counted.Failed(HandshakeFailure.TimedOut, 2)));

        Assert.Equal(2, (await node.ScrapeAsync()).UnattributedHandshakes("server"));
    }

    [Fact]
    public async Task Rows_of_a_network_that_was_forgotten_are_held_anew()
    {
        _node.Join(Network, CountingNode.Web);
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond)));
        _node.Leave(Network);

        _node.Count(Network, Counted.Handshakes(Completed(Microsecond, Microsecond)));
        _node.Time.Advance(Wait);
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(2, scrape.UnattributedHandshakes("client"));
    }

    [Fact]
    public async Task A_network_that_comes_to_belong_to_another_owner_is_counted_for_it_from_then_on()
    {
        _node.Join(Network, CountingNode.Web);
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond)));

        _node.Leave(Network);
        _node.Join(Network, CountingNode.Database);
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond, Microsecond)));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Durations("count", CountingNode.Web, "client"));
        Assert.Equal(2, scrape.Durations("count", CountingNode.Database, "client"));
    }

    /// <summary>Two interfaces may lead to one network, and the one whose pod is known comes to stand for it.</summary>
    [Fact]
    public async Task Held_rows_go_to_whom_the_network_belongs_in_the_end()
    {
        var first = _node.Join(Network);
        _node.Count(Network, Counted.Handshakes(Completed(Microsecond)));

        _node.Join(Network, CountingNode.Database);
        first.Counts = _node.Acquire(CountingNode.Web);
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Durations("count", CountingNode.Database, "client"));
        Assert.Empty(scrape.DurationBuckets(CountingNode.Web, "client"));
    }

    [Fact]
    public void Drains_are_numbered_and_one_that_goes_on_keeps_its_number()
    {
        var reader = _node.Handshakes;
        Assert.Equal((0, 0), (reader.Started, reader.Completed));

        reader.Drain();
        Assert.Equal((1, 1), (reader.Started, reader.Completed));

        _node.HandshakeSource.Fails = true;
        Assert.Throws<BpfException>(reader.Drain);
        Assert.Throws<BpfException>(reader.Drain);
        Assert.Equal((2, 1), (reader.Started, reader.Completed));

        _node.HandshakeSource.Fails = false;
        reader.Drain();
        Assert.Equal((2, 2), (reader.Started, reader.Completed));
    }

    [Fact]
    public async Task What_the_kernel_has_left_out_is_told_with_every_drain()
    {
        _node.HandshakeSource.Missed = [new(100, 4)];
        _node.Handshakes.Drain();
        _node.HandshakeSource.Missed = [new(100, 6)];
        _node.Handshakes.Drain();
        _node.Handshakes.Drain();

        Assert.Equal(6, (await _node.ScrapeAsync()).LostHandshakes("missed"));
        Assert.Equal(3, _node.HandshakeSource.MissedKept);
    }

    [Fact]
    public async Task What_the_kernel_has_left_out_of_one_generation_of_programs_and_the_next_adds_up()
    {
        _node.HandshakeSource.Missed = [new(100, 4)];
        _node.Handshakes.Drain();
        // It went on until it was replaced.
        _node.HandshakeSource.Missed = [new(100, 5), new(200, 1)];
        _node.Handshakes.Drain();
        _node.HandshakeSource.Missed = [new(200, 3)];
        _node.Handshakes.Drain();
        Assert.Equal(8, (await _node.ScrapeAsync()).LostHandshakes("missed"));

        // Nothing is kept of those that are gone.
        _node.Commit();
        var next = _node.StartAgain();
        Assert.Equal([200ul], next.Ledger.FindRestored(RecordKind.OfSignal).Select(entry => RecordKey.ReadNumber(entry.Key)));
        next.Dispose();
    }

    [Theory]
    [InlineData(HandshakeLoss.MapFull, "map_full")]
    [InlineData(HandshakeLoss.MapBusy, "map_busy")]
    [InlineData(HandshakeLoss.MapError, "map_error")]
    [InlineData(HandshakeLoss.LateFull, "late_full")]
    [InlineData(HandshakeLoss.Untimed, "untimed")]
    public async Task Losses_are_told_with_every_drain(HandshakeLoss reason, string label)
    {
        _node.HandshakeSource.SetLoss(reason, 4);
        _node.Handshakes.Drain();
        _node.HandshakeSource.SetLoss(reason, 6);
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(6, scrape.LostHandshakes(label));
        Assert.Equal(6, scrape.Samples.Count(sample =>
            sample.StartsWith("podnet_exporter_lost_handshakes_total", StringComparison.Ordinal) && scrape[sample] == 0));
    }

    [Fact]
    public async Task Rows_are_counted_once_although_the_map_could_not_be_emptied()
    {
        _node.Join(Network, CountingNode.Web);
        _node.HandshakeSource.FailsToClear = true;
        _node.HandshakeSource.Put(Network, Counted.Handshakes(Completed(Microsecond)));

        Assert.Throws<BpfException>(_node.Handshakes.Drain);

        _node.HandshakeSource.FailsToClear = false;
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Durations("count", CountingNode.Web, "client"));
    }

    [Fact]
    public async Task A_drain_that_fails_counts_nothing_and_the_next_has_it()
    {
        _node.Join(Network, CountingNode.Web);
        _node.HandshakeSource.Fails = true;
        Assert.Throws<BpfException>(() => _node.Count(Network, Counted.Handshakes(Completed(Microsecond))));
        Assert.Equal(0, (await _node.ScrapeAsync()).CountHandshakeSamples());

        _node.HandshakeSource.Fails = false;
        _node.Handshakes.Drain();

        Assert.Equal(1, (await _node.ScrapeAsync()).Durations("count", CountingNode.Web, "client"));
    }

    [Fact]
    public async Task Rows_count_once_although_the_losses_could_not_be_read()
    {
        _node.Join(Network, CountingNode.Web);
        _node.HandshakeSource.FailsToReadLosses = true;
        Assert.Throws<BpfException>(() => _node.Count(Network, Counted.Handshakes(Completed(Microsecond))));

        _node.HandshakeSource.FailsToReadLosses = false;
        _node.Handshakes.Drain();

        Assert.Equal(1, (await _node.ScrapeAsync()).Durations("count", CountingNode.Web, "client"));
    }

    /// <summary>The same rows over and over, of networks whose series are all there.</summary>
    [Fact]
    public void Draining_known_networks_allocates_nothing()
    {
        const int Networks = 500;
        for (var network = 1ul; network <= Networks; network++)
        {
            _node.Join(network, new PodName("shop", $"web-{network}"));
        }
        var handshakes = Counted.Handshakes(
            Counted.Both(Completed(Microsecond, 70 * Microsecond, 3_000_000_000), Counted.Both(Counted.Failed(HandshakeFailure.Refused, 2), Counted.Resent(3))),
            Completed(70 * Microsecond));

        Assert.Equal(0, AllocatedByDrain(0));
        Assert.Equal(0, AllocatedByDrain(Networks));

        long AllocatedByDrain(ulong rows)
        {
            // The first rounds make the series and have the methods compiled; what is left at best is what every drain takes.
            var least = long.MaxValue;
            for (var round = 0; round < 50; round++)
            {
                for (var network = 1ul; network <= rows; network++)
                {
                    _node.HandshakeSource.Put(network, handshakes);
                }
                var before = GC.GetAllocatedBytesForCurrentThread();
                _node.Handshakes.Drain();
                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            }
            return least;
        }
    }

    private static double Nanoseconds(ScrapedText scrape, PodName pod, string role) => Math.Round(scrape.Durations("sum", pod, role) * 1e9);

    private HandshakeRole Completed(params ulong[] nanoseconds) => Counted.Completed(_node.Options.Handshake.Buckets, nanoseconds);
}
