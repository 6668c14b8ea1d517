using Exporter.Bpf;
using Exporter.Pods;
using Exporter.Signals;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

public sealed class PendingCountsTests : IDisposable
{
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(30);

    private readonly CountingNode _node = new();
    private readonly FakeTimeProvider _time = new();
    private readonly PendingCounts<int> _held;
    private readonly List<long> _credited = [];
    private readonly List<long> _givenUp = [];

    public PendingCountsTests() => _held = new(_node.Ledger, TrafficValue.Fields, owner => (ulong)owner, _time, Wait);

    public void Dispose() => _node.Dispose();

    [Fact]
    public void What_is_held_for_an_owner_is_handed_over_as_one_sum()
    {
        Hold(1, 100);
        Hold(1, 20);
        Hold(1, 3);

        Settle(known: [1]);

        Assert.Equal([123], _credited);
        Assert.Empty(_givenUp);
    }

    [Fact]
    public void Of_many_owners_each_is_handed_over_once_whoever_leaves_at_the_same_time()
    {
        for (var owner = 0; owner < 100; owner++)
        {
            Hold(owner, owner);
        }
        _time.Advance(Wait);
        for (var owner = 100; owner < 200; owner++)
        {
            Hold(owner, owner);
        }

        int[] even = [.. Enumerable.Range(0, 200).Where(owner => owner % 2 == 0)];
        Settle(even);
        Assert.Equal(even.Select(owner => (long)owner), _credited.Order());
        Assert.Equal(Enumerable.Range(0, 100).Where(owner => owner % 2 == 1).Select(owner => (long)owner), _givenUp.Order());

        _time.Advance(Wait);
        Settle(known: []);
        Assert.Equal(100, _givenUp.Count);
        Assert.Equal(100, _credited.Count);
    }

    [Fact]
    public void Nothing_is_held_any_more_once_it_is_handed_over()
    {
        Hold(1, 100);
        Settle(known: [1]);
        Hold(1, 3);
        _time.Advance(Wait);

        Settle(known: []);
        Settle(known: [1]);

        Assert.Equal([100], _credited);
        Assert.Equal([3], _givenUp);
    }

    [Fact]
    public void It_is_credited_to_the_series_that_were_found()
    {
        IPodAccount? creditedTo = null;
        var web = _node.Acquire(CountingNode.Web);
        Hold(1, 100);

        _held.Flush(_ => web, (counts, _) => creditedTo = counts, _ => { });

        Assert.Same(web, creditedTo);
    }

    [Fact]
    public void Without_room_for_another_owner_nothing_is_held_for_it_and_the_others_are_held_on()
    {
        var held = new PendingCounts<int>(_node.Ledger, TrafficValue.Fields, owner => (ulong)owner, _time, Wait, room: 2);

        Assert.NotNull(held.TryHold(1));
        Assert.NotNull(held.TryHold(2));

        Assert.Null(held.TryHold(3));
        Assert.NotNull(held.TryHold(1));
        Assert.NotNull(held.Restore(4));
    }

    private void Hold(int owner, long value) => _held.TryHold(owner)!.Add(Counted.Sent((ulong)value, 0));

    private void Settle(int[] known)
    {
        var series = _node.Acquire(CountingNode.Web);
        _held.Flush(
            owner => known.Contains(owner) ? series : null,
            (_, held) => _credited.Add(Packets(held)),
            held => _givenUp.Add(Packets(held)));
    }

    private static long Packets(ReadOnlySpan<ulong> held) => (long)RowFields.ValueOf<TrafficValue>(held).Transmit.Total.Packets;
}
