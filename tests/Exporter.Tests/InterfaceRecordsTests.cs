using Exporter.Bpf.Netlink;
using Exporter.Discovery;
using Exporter.Pods;
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
        var owner = new PodInterface(Link, 3, SeenAt) { Pod = Web() };
        _records.Save(owner, network: 4026532000);

        Restart();

        var (found, network) = Assert.Single(_records.Restore());
        Assert.Equal((Link, 3, SeenAt, 4026532000ul, Web()), (found.Link, found.Generation, found.SeenAt, network, found.Pod));
        Assert.Null(found.Counts);
    }

    [Fact]
    public void An_interface_whose_pod_becomes_known_is_saved_with_it_and_its_namespace_stays()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        _records.Save(owner, network: 5);
        owner.Pod = Web();
        _records.Save(owner);
        _node.Commit();

        Restart();

        var (found, network) = Assert.Single(_records.Restore());
        Assert.Equal((Web(), 5ul), (found.Pod, network));
    }

    /// <summary>The new record is there at once, the old one goes with the next commit.</summary>
    [Fact]
    public void Killed_between_the_new_record_and_the_end_of_the_old_it_is_found_once_with_its_pod()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        _records.Save(owner, network: 5);
        owner.Pod = Web();
        _records.Save(owner);

        Restart();

        var (found, network) = Assert.Single(_records.Restore());
        Assert.Equal((Web(), 5ul), (found.Pod, network));
        _node.Commit();
        Restart();
        Assert.Single(_node.Ledger.FindRestored(RecordKind.Interface));
        Assert.Equal(Web(), Assert.Single(_records.Restore()).Owner.Pod);
    }

    [Fact]
    public void Killed_after_it_was_saved_again_as_it_was_it_is_found_once()
    {
        var owner = new PodInterface(Link, 3, SeenAt) { Pod = Web() };
        _records.Save(owner, network: 5);
        _records.Save(owner);

        Restart();
        Assert.Single(_records.Restore());
        _node.Commit();
        Restart();

        Assert.Single(_records.Restore());
        Assert.Equal(1, _node.Memory.Segments);
    }

    [Fact]
    public void An_interface_that_is_removed_is_gone_with_the_next_commit()
    {
        var owner = new PodInterface(Link, 3, SeenAt);
        _records.Save(owner, network: 5);
        _records.Remove(owner);

        Restart();
        var restored = Assert.Single(_records.Restore()).Owner;
        _records.Remove(restored);
        _node.Commit();
        Restart();

        Assert.Empty(_records.Restore());
    }

    [Fact]
    public void One_that_was_restored_can_be_saved_again()
    {
        _records.Save(new PodInterface(Link, 3, SeenAt), network: 5);
        Restart();
        var owner = Assert.Single(_records.Restore()).Owner;
        owner.Pod = Web();
        _records.Save(owner);
        _node.Commit();

        Restart();

        var (found, network) = Assert.Single(_records.Restore());
        Assert.Equal((Web(), 5ul), (found.Pod, network));
    }

    [Fact]
    public void A_pod_that_is_shown_with_other_labels_now_has_to_be_asked_for_again()
    {
        _records.Save(new PodInterface(Link, 3, SeenAt) { Pod = Web() }, network: 5);
        _node.Commit();

        Restart(("Metrics:PodLabels", "namespace;pod;node"));

        Assert.Null(Assert.Single(_records.Restore()).Owner.Pod);
    }

    [Fact]
    public void Interfaces_of_one_index_are_two()
    {
        _records.Save(new PodInterface(Link, 3, SeenAt) { Pod = Web() }, network: 5);
        _records.Save(new PodInterface(Link, 4, SeenAt), network: 6);

        Restart();

        Assert.Equal([(3L, 5ul), (4L, 6ul)], _records.Restore().Select(record => (record.Owner.Generation, record.Network)).Order());
    }

    private PodIdentity Web() => _node.Labels.Identify(new("shop", "web"));

    private void Restart(params (string, string?)[] settings)
    {
        _nodes.Add(_node = _node.StartAgain(settings));
        _records = new(_node.Ledger, _node.Labels);
    }
}
