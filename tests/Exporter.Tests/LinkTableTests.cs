using Exporter.Bpf.Netlink;
using Exporter.Interfaces;

namespace Exporter.Tests;

public sealed class LinkTableTests
{
    private static readonly Link First = new(7, "veth7", "veth", 0x0a0000000001, 2, 0);

    private readonly LinkTable _table = new(TimeProvider.System, new());

    [Fact]
    public void An_interface_that_is_set_is_in_the_table()
    {
        _table.Set(First);

        Assert.Equal(First, _table.Current[7].Link);
    }

    /// <summary>Of the last one nothing is left that the next table could know.</summary>
    [Fact]
    public void No_generation_is_given_again_by_another_table()
    {
        var generations = new LinkGenerations();
        var table = new LinkTable(TimeProvider.System, generations);
        table.Set(First);
        table.Set(First with { Ifindex = 8 });
        var last = table.Current[8].Generation;
        table.Remove(8);

        var next = new LinkTable(TimeProvider.System, generations);
        next.Restore([table.Current[7]], table.Current[7].Generation);
        next.Set(First with { Ifindex = 9 });

        Assert.True(next.Current[9].Generation > last);
    }

    [Fact]
    public void An_interface_that_changes_keeps_its_generation()
    {
        _table.Set(First);
        var before = _table.Current[7].Generation;

        _table.Set(First with { Name = "renamed", HardwareAddress = 5 });

        Assert.Equal(before, _table.Current[7].Generation);
        Assert.Equal("renamed", _table.Current[7].Link.Name);
    }

    public static TheoryData<string, Link, LinkIdentity, bool> Changes => new()
    {
        { "nothing is known of either", First, default, true },
        { "the id of a namespace is another", First with { PeerNamespaceId = 3 }, default, false },
        { "the other end is in this namespace now", First with { PeerNamespaceId = null }, default, false },
        { "the namespace is another with the same id", First, new(6, 9), false },
        { "the namespace is the same with another id", First with { PeerNamespaceId = 3 }, new(5, 9), true },
        { "the interface is another with the same namespace", First, new(5, 10), false },
        { "the namespace is going away", First with { PeerNamespaceId = null, IsPeerNamespaceGoing = true }, new(0, 9), true },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void An_interface_that_changes_is_the_same_unless_it_or_its_other_end_s_namespace_is_another(string change, Link link, LinkIdentity identity, bool isSame)
    {
        _table.Set(First, new(5, 9));
        var before = _table.Current[7].Generation;

        _table.Set(link, identity);

        Assert.True(isSame == (before == _table.Current[7].Generation), change);
        _table.Reset([(First, new(5, 9))]);
        before = _table.Current[7].Generation;

        _table.Reset([(link, identity)]);

        Assert.True(isSame == (before == _table.Current[7].Generation), $"{change}, in a list");
    }

    /// <summary>Its id is taken from it first, and then its interfaces go.</summary>
    [Fact]
    public void An_interface_whose_other_end_s_namespace_is_going_away_keeps_that_until_it_is_gone()
    {
        _table.Set(First, new(5, 9));

        _table.Set(First with { PeerNamespaceId = null, IsPeerNamespaceGoing = true });

        Assert.Equal((First, new LinkIdentity(5, 9)), (_table.Current[7].Link, _table.Current[7].Identity));
    }

    [Fact]
    public void Every_new_interface_has_a_greater_generation()
    {
        _table.Set(First);
        _table.Set(First with { Ifindex = 3 });
        _table.Set(First with { Ifindex = 9 });

        Assert.True(_table.Current[3].Generation > _table.Current[7].Generation);
        Assert.True(_table.Current[9].Generation > _table.Current[3].Generation);
    }

    [Fact]
    public void An_interface_that_is_removed_is_out_of_the_table()
    {
        _table.Set(First);
        _table.Set(First with { Ifindex = 8 });

        _table.Remove(7);

        Assert.Equal([8], _table.Current.Keys);
    }

    [Fact]
    public void An_index_that_comes_back_is_a_new_generation_even_if_nothing_else_differs()
    {
        _table.Set(First);
        var before = _table.Current[7].Generation;

        _table.Remove(7);
        _table.Set(First);

        Assert.True(_table.Current[7].Generation > before);
    }

    [Fact]
    public void Removing_what_is_not_there_changes_nothing()
    {
        _table.Set(First);

        Assert.Null(_table.Remove(99));
        Assert.Equal([7], _table.Current.Keys);
    }

    [Fact]
    public void A_snapshot_stays_as_it_was_taken()
    {
        _table.Set(First);
        var snapshot = _table.Current;

        _table.Remove(7);
        _table.Set(First with { Ifindex = 8 });

        Assert.Equal([7], snapshot.Keys);
    }

    [Fact]
    public void Removing_one_end_of_a_pair_returns_the_other_where_that_is_in_this_namespace()
    {
        var left = new Link(7, "left", "veth", 1, 8, null);
        var right = new Link(8, "right", "veth", 2, 7, null);
        _table.Set(left);
        _table.Set(right);

        Assert.Equal(right, _table.Remove(7));
        Assert.Null(_table.Remove(8));
    }

    /// <summary>The end that is made first is announced before the other is there.</summary>
    [Fact]
    public void Removing_an_end_that_does_not_know_its_peer_returns_the_other_that_does()
    {
        var right = new Link(8, "right", "veth", 2, 7, null);
        _table.Set(new(7, "left", "veth", 1, 0, null));
        _table.Set(right);

        Assert.Equal(right, _table.Remove(7));
    }

    [Fact]
    public void Removing_an_interface_whose_other_end_is_elsewhere_returns_nothing()
    {
        _table.Set(First with { PeerIfindex = 8 });
        _table.Set(new(8, "vlan8", "vlan", 1, 7, null));

        Assert.Null(_table.Remove(7));
    }

    [Fact]
    public void Removing_an_interface_does_not_return_one_whose_other_end_has_the_index_elsewhere()
    {
        _table.Set(new(7, "left", "veth", 1, 9, null));
        _table.Set(new(8, "veth8", "veth", 1, 7, 3));

        Assert.Null(_table.Remove(7));
    }

    [Fact]
    public void Removing_an_interface_without_another_end_returns_nothing()
    {
        _table.Set(new(7, "dummy7", "dummy", 1, 0, null));

        Assert.Null(_table.Remove(7));
    }

    [Fact]
    public void A_list_replaces_what_was_known()
    {
        _table.Set(First);
        _table.Set(First with { Ifindex = 8 });

        _table.Reset([First with { Ifindex = 8 }, First with { Ifindex = 9 }]);

        Assert.Equal([8, 9], _table.Current.Keys.Order());
    }

    [Fact]
    public void An_interface_that_was_renamed_keeps_its_generation_over_a_list()
    {
        _table.Set(First);
        var before = _table.Current[7].Generation;

        _table.Reset([First with { Name = "renamed" }]);

        Assert.Equal(before, _table.Current[7].Generation);
        Assert.Equal("renamed", _table.Current[7].Link.Name);
    }

    public static TheoryData<string, Link> Others => new()
    {
        { "address", First with { HardwareAddress = 0x0a0000000002 } },
        { "peer's index", First with { PeerIfindex = 3 } },
        { "peer's namespace", First with { PeerNamespaceId = 1 } },
        { "kind", First with { Kind = "netkit" } },
    };

    [Theory]
    [MemberData(nameof(Others))]
    public void Another_interface_of_the_same_index_in_a_list_is_a_new_generation(string difference, Link other)
    {
        _table.Set(First);
        var before = _table.Current[7].Generation;

        _table.Reset([other]);

        Assert.True(_table.Current[7].Generation > before, difference);
    }

    [Fact]
    public void An_index_that_comes_back_after_a_list_without_it_is_a_new_generation()
    {
        _table.Set(First);
        var before = _table.Current[7].Generation;

        _table.Reset(Array.Empty<Link>());
        _table.Reset([First]);

        Assert.True(_table.Current[7].Generation > before);
    }

    [Fact]
    public void What_a_former_process_knew_keeps_its_generation_and_when_it_was_seen_over_the_first_list()
    {
        var seenAt = DateTimeOffset.UnixEpoch;
        _table.Restore([new(First, 40, IsNew: false, seenAt), new(First with { Ifindex = 8 }, 30, IsNew: false, seenAt)]);
        Assert.Equal([7, 8], _table.Current.Keys.Order());

        _table.Reset([First with { Name = "renamed" }, First with { Ifindex = 8 }]);

        Assert.Equal([(40, false, seenAt), (30, false, seenAt)], ((int[])[7, 8]).Select(index => (_table.Current[index].Generation, _table.Current[index].IsNew, _table.Current[index].SeenAt)));
        Assert.Equal("renamed", _table.Current[7].Link.Name);
    }

    [Fact]
    public void What_is_not_among_those_that_a_former_process_knew_has_come_since()
    {
        _table.Restore([new(First, 40, IsNew: false, default)]);

        _table.Reset([First, First with { Ifindex = 8 }]);

        Assert.Equal((false, true), (_table.Current[7].IsNew, _table.Current[8].IsNew));
        Assert.True(_table.Current[8].Generation > 40);
    }

    [Fact]
    public void Another_interface_of_an_index_that_a_former_process_knew_has_come_since_and_is_a_new_generation()
    {
        _table.Restore([new(First, 40, IsNew: false, default)]);

        _table.Reset([First with { HardwareAddress = 5 }]);

        Assert.True(_table.Current[7].IsNew);
        Assert.True(_table.Current[7].Generation > 40);
    }

    [Fact]
    public void What_a_former_process_knew_and_is_not_in_the_list_is_gone()
    {
        _table.Restore([new(First, 40, IsNew: false, default), new(First with { Ifindex = 8 }, 50, IsNew: false, default)]);

        _table.Reset([First]);

        Assert.Equal([7], _table.Current.Keys);
        _table.Set(First with { Ifindex = 9 });
        Assert.True(_table.Current[9].Generation > 50);
    }

    [Fact]
    public void Of_two_of_one_index_that_a_former_process_knew_the_later_is_there()
    {
        _table.Restore([new(First with { HardwareAddress = 5 }, 50, IsNew: false, default), new(First, 40, IsNew: false, default)]);

        Assert.Equal(50, _table.Current[7].Generation);
        _table.Reset([First with { HardwareAddress = 5 }]);
        Assert.Equal((50, false), (_table.Current[7].Generation, _table.Current[7].IsNew));
    }

    [Fact]
    public void An_interface_whose_birth_proves_that_it_is_the_same_keeps_its_generation_whatever_else_has_changed()
    {
        _table.Restore([new(First, 40, IsNew: false, default) { Identity = new(5, 9) }]);

        _table.Reset([(First with { Name = "renamed", HardwareAddress = 5 }, new(5, 9))]);

        Assert.Equal((40, false), (_table.Current[7].Generation, _table.Current[7].IsNew));
    }

    [Fact]
    public void After_the_first_list_a_list_does_not_say_what_has_come()
    {
        _table.Restore([new(First, 40, IsNew: false, default)]);
        _table.Reset([First]);

        _table.Reset([First, First with { Ifindex = 8 }]);

        Assert.False(_table.Current[8].IsNew);
    }

    [Fact]
    public void Without_a_former_process_what_is_in_the_first_list_was_there_before()
    {
        _table.Reset([First]);
        _table.Set(First with { Ifindex = 8 });

        Assert.Equal((false, true), (_table.Current[7].IsNew, _table.Current[8].IsNew));
    }
}
