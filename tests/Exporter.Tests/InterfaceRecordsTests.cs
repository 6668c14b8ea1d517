using Exporter.Bpf.Netlink;
using Exporter.Interfaces;
using Exporter.Pods;
using Exporter.Signals.Traffic;
using Exporter.State;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Whose the interfaces are, from one process to the next.</summary>
public sealed class InterfaceRecordsTests : IDisposable
{
    private static readonly DateTimeOffset SeenAt = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly Link Link = new(7, "veth7", "veth", 0x0a0000000001, 2, 0);

    private readonly List<CountingNode> _nodes = [];
    private CountingNode _node;
    private InterfaceRecords _records;

    public InterfaceRecordsTests()
    {
        _nodes.Add(_node = new CountingNode());
        _records = new(_node.Ledger, _node.Labels);
    }

    public void Dispose() => _nodes.ForEach(node => node.Dispose());

    [Fact]
    public void An_interface_is_there_at_once_as_it_was_saved()
    {
        var bornAfter = SeenAt - TimeSpan.FromSeconds(1);
        var owner = new PodInterface(Link, 3, SeenAt) { Pod = Web(), BornAfter = bornAfter };
        Save(owner, 4026532000);

        Restart();

        var (found, network) = Assert.Single(Restored());
        Assert.Equal((Link, 3, SeenAt, bornAfter, 4026532000ul, Web()), (found.Link, found.Generation, found.SeenAt, found.BornAfter, network, found.Pod));
        Assert.Null(found.Counts);
    }

    [Fact]
    public void An_interface_whose_pod_becomes_known_is_saved_with_it_and_its_namespace_stays()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        Save(owner, 5);
        owner.Pod = Web();
        _records.Save(owner);
        _node.Commit();

        Restart();

        var (found, network) = Assert.Single(Restored());
        Assert.Equal((Web(), 5ul), (found.Pod, network));
    }

    /// <summary>The new record is there at once, the old one goes with the next commit.</summary>
    [Fact]
    public void Killed_between_the_new_record_and_the_end_of_the_old_it_is_found_once_with_its_pod()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        Save(owner, 5);
        owner.Pod = Web();
        _records.Save(owner);

        Restart();

        var (found, network) = Assert.Single(Restored());
        Assert.Equal((Web(), 5ul), (found.Pod, network));
        _node.Commit();
        Restart();
        Assert.Single(_node.Ledger.FindRestored(RecordKind.Interface));
        Assert.Equal(Web(), Assert.Single(Restored()).Owner.Pod);
    }

    [Fact]
    public void Killed_after_it_was_saved_again_as_it_was_it_is_found_once()
    {
        var owner = new PodInterface(Link, 3, SeenAt) { Pod = Web() };
        Save(owner, 5);
        _records.Save(owner);

        Restart();
        Assert.Single(Restored());
        _node.Commit();
        Restart();

        Assert.Single(Restored());
        Assert.Equal(LedgerTests.FirstSegments, _node.Memory.Segments);
    }

    [Fact]
    public void What_was_counted_on_an_interface_is_there_in_the_next_process_and_goes_on()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        Save(owner, 5);
        Count(owner, Counted.Both(Counted.Sent(2, 200), Counted.Delivered(3, 330)));
        owner.Pod = Web();
        _records.Save(owner);
        Count(owner, Counted.Sent(1, 50));

        Restart();

        var restored = Assert.Single(Restored()).Owner;
        Assert.Equal(((3ul, 250ul), (3ul, 330ul)), (restored.Totals.Transmitted, restored.Totals.Received));
        Count(restored, Counted.Sent(1, 7));
        Restart();
        Assert.Equal((4ul, 257ul), Assert.Single(Restored()).Owner.Totals.Transmitted);
    }

    /// <summary>The counts are in the old record until the commit that removes it.</summary>
    [Fact]
    public void Killed_between_two_records_an_interface_has_the_counts_of_both_once()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        Save(owner, 5);
        Count(owner, Counted.Sent(2, 200));
        owner.Pod = Web();
        _records.Save(owner);

        Restart();
        Assert.Equal((2ul, 200ul), Assert.Single(Restored()).Owner.Totals.Transmitted);
        Restart();
        Assert.Equal((2ul, 200ul), Assert.Single(Restored()).Owner.Totals.Transmitted);
        _node.Commit();
        Restart();
        Assert.Equal((2ul, 200ul), Assert.Single(Restored()).Owner.Totals.Transmitted);
    }

    [Fact]
    public void An_interface_that_is_removed_is_gone_with_the_next_commit()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        Save(owner, 5);
        _records.Remove(owner);

        Restart();
        var restored = Assert.Single(Restored()).Owner;
        _records.Remove(restored);
        _node.Commit();
        Restart();

        Assert.Empty(Restored());
    }

    [Fact]
    public void One_that_was_restored_can_be_saved_again()
    {
        Save(new PodInterface(Link, 3, SeenAt), 5);
        Restart();
        var owner = Assert.Single(Restored()).Owner;
        owner.Pod = Web();
        _records.Save(owner);
        _node.Commit();

        Restart();

        var (found, network) = Assert.Single(Restored());
        Assert.Equal((Web(), 5ul), (found.Pod, network));
    }

    [Fact]
    public void A_pod_that_is_shown_with_other_labels_now_has_to_be_asked_for_again()
    {
        Save(new PodInterface(Link, 3, SeenAt) { Pod = Web() }, 5);
        _node.Commit();

        Restart(("Metrics:PodLabels", "namespace;pod;node"));

        Assert.Null(Assert.Single(Restored()).Owner.Pod);
    }

    [Fact]
    public void Interfaces_of_one_index_are_two()
    {
        Save(new PodInterface(Link, 3, SeenAt) { Pod = Web() }, 5);
        Save(new PodInterface(Link, 4, SeenAt), 6);

        Restart();

        Assert.Equal([(3L, 5ul), (4L, 6ul)], Restored().Select(record => (record.Owner.Generation, record.Network)).Order());
    }

    [Fact]
    public void What_an_interface_is_known_by_and_what_was_not_counted_of_it_is_there_after_a_restart()
    {
        var owner = new PodInterface(Link, 3, SeenAt) { Identity = new(5, 77), Uncounted = new(12, null) };
        _records.Save(owner);

        Restart();

        var found = Assert.Single(RestoreAll());
        Assert.Equal((new LinkIdentity(5, 77), new UncountedPackets(12, null)), (found.Identity, found.Uncounted));
    }

    [Fact]
    public void What_was_counted_on_an_interface_is_there_after_a_restart_however_often_it_was_saved()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        Save(owner, 5);
        Count(owner, 7, 700);
        owner.Pod = Web();
        _records.Save(owner);
        Count(owner, 3, 300);

        Restart();
        var found = Assert.Single(RestoreAll());
        Assert.Equal((10ul, 1000ul), found.Totals.Transmitted);
        Count(found, 1, 100);
        found.Uncounted = new(1, 2);
        _records.Save(found);

        Restart();
        Assert.Equal((11ul, 1100ul), Assert.Single(RestoreAll()).Totals.Transmitted);
    }

    private void Count(PodInterface owner, ulong packets, ulong bytes)
    {
        lock (_node.Ledger.Lock)
        {
            owner.Record!.Add(Counted.Sent(packets, bytes));
            _node.Ledger.Commit();
        }
    }

    private void Save(PodInterface owner, ulong network)
    {
        owner.Identity = new(network, Birth: 9);
        _records.Save(owner);
    }

    private IEnumerable<(PodInterface Owner, ulong Network)> Restored() => [.. RestoreAll().Select(owner => (owner, owner.Identity.PeerNamespace))];

    /// <summary>As the reconciler does.</summary>
    private IReadOnlyList<PodInterface> RestoreAll()
    {
        var restored = _records.Restore();
        _node.Traffic.Restore(restored);
        return restored;
    }

    private PodIdentity Web() => _node.Labels.Identify(new("shop", "web"));

    /// <summary>As a drain does.</summary>
    private void Count(PodInterface owner, TrafficValue traffic)
    {
        lock (_node.Ledger.Lock)
        {
            owner.Totals.Add((traffic.Transmit.Total.Packets, traffic.Transmit.Total.Bytes), (traffic.Receive.Total.Packets, traffic.Receive.Total.Bytes));
            owner.Record?.Add(traffic);
            _node.Ledger.Commit();
        }
    }

    private void Restart(params (string, string?)[] settings)
    {
        _nodes.Add(_node = _node.StartAgain(settings));
        _records = new(_node.Ledger, _node.Labels);
    }
}
