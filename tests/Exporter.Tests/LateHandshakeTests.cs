using Exporter.Bpf;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Handshakes that were sent again and whose end no program saw.</summary>
public sealed class LateHandshakeTests : IDisposable
{
    private const ulong Network = 4026532999;
    private const ulong Client = 0;
    private const ulong Server = 1;

    /// <summary>More than the longest silence that is no reason to give a handshake up.</summary>
    private static readonly TimeSpan Ages = TimeSpan.FromHours(1);

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly CountingNode _node = new(("Identity:HoldFor", "00:00:30"));

    public void Dispose() => _node.Dispose();

    /// <summary>The silence that is too long: twice the time before it and four seconds, at most two and a half minutes.</summary>
    public static TheoryData<double, double> Silences => new()
    {
        { 0, 4 },
        { 0.2, 4.4 },
        { 1, 6 },
        { 3, 10 },
        { 7, 18 },
        { 63, 130 },
        { 72.9, 149.8 },
        { 73, 150 },
        { 73.1, 150 },
        { 127, 150 },
        { 1000, 150 },
    };

    [Fact]
    public async Task An_overdue_servers_handshake_is_a_failure_of_its_pod_that_timed_out()
    {
        _node.Join(Network, CountingNode.Web);
        PutLate(Server, port: 1, silence: Ages);
        PutLate(Server, port: 2, silence: Ages);

        Sweep();
        Sweep();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2, scrape.Failures(CountingNode.Web, "server", "timed_out"));
        Assert.Equal(1, scrape.CountHandshakeSamples());
        Assert.Equal(0, scrape.LostHandshakes("unseen"));
        Assert.Equal(0, _node.HandshakeSource.LateHandshakes);
    }

    [Fact]
    public async Task An_overdue_clients_handshake_is_lost_unseen()
    {
        _node.Join(Network, CountingNode.Web);
        PutLate(Client, port: 1, silence: Ages);
        PutLate(Client, port: 2, silence: Ages);

        Sweep();
        Sweep();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2, scrape.LostHandshakes("unseen"));
        Assert.Equal(0, scrape.CountHandshakeSamples());
        Assert.Equal(0, _node.HandshakeSource.LateHandshakes);
    }

    [Theory]
    [MemberData(nameof(Silences))]
    public async Task A_handshake_is_overdue_when_its_silence_is_too_long_and_not_before(double before, double tooLong)
    {
        _node.Join(Network, CountingNode.Web);
        PutLate(Server, port: 1, silence: TimeSpan.FromSeconds(tooLong) - TimeSpan.FromTicks(1), TimeSpan.FromSeconds(before));
        Sweep();
        Assert.Equal(0, (await _node.ScrapeAsync()).CountHandshakeSamples());
        Assert.Equal(1, _node.HandshakeSource.LateHandshakes);

        PutLate(Server, port: 2, silence: TimeSpan.FromSeconds(tooLong), TimeSpan.FromSeconds(before));
        _node.HandshakeSource.Forget(Flow(port: 1));
        Sweep();
        Assert.Equal(1, (await _node.ScrapeAsync()).Failures(CountingNode.Web, "server", "timed_out"));
        Assert.Equal(0, _node.HandshakeSource.LateHandshakes);
    }

    [Fact]
    public async Task One_that_is_not_overdue_stays_among_those_that_are()
    {
        _node.Join(Network, CountingNode.Web);
        PutLate(Server, port: 1, silence: Ages);
        PutLate(Server, port: 2, silence: TimeSpan.Zero);
        PutLate(Client, port: 3, silence: TimeSpan.Zero);
        PutLate(Server, port: 4, silence: Ages);

        Sweep();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(2, scrape.Failures(CountingNode.Web, "server", "timed_out"));
        Assert.Equal(0, scrape.LostHandshakes("unseen"));
        Assert.Equal(2, _node.HandshakeSource.LateHandshakes);
    }

    [Theory]
    [InlineData(Client)]
    [InlineData(Server)]
    public async Task One_that_has_ended_since_it_was_read_counts_nothing(ulong role)
    {
        _node.Join(Network, CountingNode.Web);
        PutLate(role, port: 1, silence: Ages);
        _node.HandshakeSource.AfterReadingLate = () => _node.HandshakeSource.Forget(Flow(port: 1));

        Sweep();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(0, scrape.CountHandshakeSamples());
        Assert.Equal(0, scrape.LostHandshakes("unseen"));
    }

    /// <summary>A client's SYN that would have been sent again, and then was not: its handshake has ended otherwise.</summary>
    [Fact]
    public async Task A_clients_that_was_not_sent_again_is_forgotten_four_seconds_after_it_began_and_counts_nothing()
    {
        _node.Join(Network, CountingNode.Web);
        PutLate(Client, port: 1, silence: TimeSpan.FromSeconds(4) - TimeSpan.FromTicks(1), isResent: false);
        Sweep();
        Assert.Equal(1, _node.HandshakeSource.LateHandshakes);
        _node.HandshakeSource.Forget(Flow(port: 1));

        PutLate(Client, port: 2, silence: TimeSpan.FromSeconds(4), isResent: false);
        Sweep();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(0, _node.HandshakeSource.LateHandshakes);
        Assert.Equal(0, scrape.LostHandshakes("unseen"));
        Assert.Equal(0, scrape.CountHandshakeSamples());
    }

    /// <summary>It was sent again after the clock was read.</summary>
    [Fact]
    public void One_that_was_sent_again_later_than_now_stays()
    {
        _node.Join(Network, CountingNode.Web);
        PutLate(Server, port: 1, silence: -TimeSpan.FromMilliseconds(1));

        Sweep();

        Assert.Equal(1, _node.HandshakeSource.LateHandshakes);
    }

    [Fact]
    public void Late_handshakes_are_read_every_five_seconds_and_not_between()
    {
        _node.Handshakes.Drain();
        _node.Time.Advance(SweepInterval - TimeSpan.FromTicks(1));
        _node.Handshakes.Drain();
        Assert.Equal(0, _node.HandshakeSource.LateReads);

        _node.Time.Advance(TimeSpan.FromTicks(1));
        _node.Handshakes.Drain();
        _node.Handshakes.Drain();
        Assert.Equal(1, _node.HandshakeSource.LateReads);

        _node.Time.Advance(SweepInterval - TimeSpan.FromTicks(1));
        _node.Handshakes.Drain();
        Assert.Equal(1, _node.HandshakeSource.LateReads);

        _node.Time.Advance(TimeSpan.FromTicks(1));
        _node.Handshakes.Drain();
        Assert.Equal(2, _node.HandshakeSource.LateReads);
    }

    [Fact]
    public async Task An_overdue_handshake_of_an_unknown_network_is_held_with_its_rows()
    {
        PutLate(Server, port: 1, silence: Ages);
        _node.Time.Advance(SweepInterval);
        _node.Count(Network, Counted.Handshakes(server: Counted.Failed(HandshakeFailure.Reset)));

        _node.Join(Network, CountingNode.Web);
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Failures(CountingNode.Web, "server", "timed_out"));
        Assert.Equal(1, scrape.Failures(CountingNode.Web, "server", "reset"));
    }

    [Fact]
    public async Task An_overdue_handshake_whose_pod_does_not_become_known_is_unattributed()
    {
        _node.LeadTo(Network);
        PutLate(Server, port: 1, silence: Ages);
        Sweep();
        Assert.Equal(0, (await _node.ScrapeAsync()).UnattributedHandshakes("server"));

        _node.Time.Advance(TimeSpan.FromSeconds(30));
        _node.Handshakes.Drain();

        Assert.Equal(1, (await _node.ScrapeAsync()).UnattributedHandshakes("server"));
    }

    [Fact]
    public async Task Without_a_wait_an_overdue_handshake_of_an_unknown_network_is_unattributed_at_once()
    {
        using var node = new CountingNode(("Identity:HoldFor", "00:00:00"));
        node.HandshakeSource.PutLate(Flow(port: 1), new(Started: 1, Retransmitted: 2, Server));
        node.Time.Advance(SweepInterval);

        node.Handshakes.Drain();

        Assert.Equal(1, (await node.ScrapeAsync()).UnattributedHandshakes("server"));
    }

    [Fact]
    public async Task Rows_count_once_and_the_late_ones_later_when_these_could_not_be_read()
    {
        _node.Join(Network, CountingNode.Web);
        PutLate(Server, port: 1, silence: Ages);
        _node.HandshakeSource.FailsToReadLate = true;
        _node.HandshakeSource.Put(Network, Counted.Handshakes(Counted.Failed(HandshakeFailure.Refused)));
        Assert.Throws<BpfException>(Sweep);

        _node.HandshakeSource.FailsToReadLate = false;
        Sweep();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(1, scrape.Failures(CountingNode.Web, "client", "refused"));
        Assert.Equal(1, scrape.Failures(CountingNode.Web, "server", "timed_out"));
    }

    private static HandshakeFlow Flow(uint port)
    {
        var flow = new HandshakeFlow { Netns = Network, LocalPort = 443, RemotePort = port };
        flow.Local.Words[3] = 0x0100000a;
        flow.Remote.Words[3] = 0x0200000a;
        return flow;
    }

    /// <summary>Drains when the next sweep is due.</summary>
    private void Sweep()
    {
        _node.Time.Advance(SweepInterval);
        _node.Handshakes.Drain();
    }

    /// <param name="silence">From when it was last sent to the next sweep.</param>
    /// <param name="before">From when it began to when it was last sent.</param>
    /// <param name="isResent">Whether that was not the first time.</param>
    private void PutLate(ulong role, uint port, TimeSpan silence, TimeSpan before = default, bool isResent = true)
    {
        var resent = TimeSpan.FromTicks(_node.Time.GetTimestamp()) + SweepInterval - silence;
        _node.HandshakeSource.PutLate(Flow(port), new(Nanoseconds(resent - before), isResent ? Nanoseconds(resent) : 0, role));
    }

    private static ulong Nanoseconds(TimeSpan time) => (ulong)(time.Ticks * TimeSpan.NanosecondsPerTick);
}
