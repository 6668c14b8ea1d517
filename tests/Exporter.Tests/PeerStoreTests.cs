using System.Net;
using CsCheck;
using Exporter.Kubernetes;
using Exporter.Peers;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.KnownPeers;

namespace Exporter.Tests;

/// <summary>Objects that change and leave, and when readers see that.</summary>
public sealed class PeerStoreTests : IDisposable
{
    private const string Web = """[{"port":80}]""";

    private readonly KnownPeers _peers = new();

    public void Dispose() => _peers.Dispose();

    [Fact]
    public void Slices_of_one_Service_add_up_and_leave_one_by_one()
    {
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3", "10.244.1.4"));
        _peers.Slices.Set(Slice("shop/web-2", "web", Web, "10.244.1.4", "10.244.1.5"));
        Assert.All((string[])["10.244.1.3", "10.244.1.4", "10.244.1.5"], address => Assert.Equal("service shop/web endpoint pods", _peers.Find(address)));

        _peers.Slices.Remove(Slice("shop/web-1", "web", Web));

        Assert.Equal("class pods", _peers.Find("10.244.1.3"));
        Assert.Equal("service shop/web endpoint pods", _peers.Find("10.244.1.4"));
        Assert.Equal("service shop/web endpoint pods", _peers.Find("10.244.1.5"));
    }

    [Fact]
    public void A_slice_moves_an_address_to_another_Service()
    {
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3"));
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.9"));
        _peers.Slices.Set(Slice("shop/cart-1", "cart", Web, "10.244.1.3"));
        Assert.Equal("service shop/cart endpoint pods", _peers.Find("10.244.1.3"));

        _peers.Slices.Set(Slice("shop/web-1", "blue", Web, "10.244.1.9"));

        Assert.Equal("service shop/blue endpoint pods", _peers.Find("10.244.1.9"));
    }

    /// <summary>The records of a start wait for it.</summary>
    [Fact]
    public void The_first_list_of_each_role_is_in_the_table_at_once_and_then_all_are_listed()
    {
        var time = DateTimeOffset.UtcNow;
        _peers.Store.Configure(ClassesOf("pods=10.244.0.0/16"));
        Assert.False(_peers.Store.IsListed);

        _peers.Services.TakeList([Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}""")], time, isCached: true, canContinue: false);
        _peers.Slices.TakeList([], time, isCached: true, canContinue: false);
        _peers.Slices.TakeList([Slice("shop/web-1", "web", Web, "10.244.1.3")], time, isCached: true, canContinue: true);
        Assert.False(_peers.Store.IsListed);
        _peers.Nodes.TakeList([Node("worker-1", "10.0.0.11")], time, isCached: true, canContinue: false);

        Assert.True(_peers.Store.IsListed);
        Assert.All(
            (string[])["10.96.0.5", "10.244.1.3", "10.0.0.11"],
            address => Assert.NotEqual(PeerKind.Class, _peers.Store.Table.Find(Bytes(address), 80, Tcp).Kind));
    }

    [Fact]
    public void Changed_ports_replace_the_previous_ones()
    {
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}"""));
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":81}]}"""));

        Assert.Equal("class private", _peers.Find("10.96.0.5"));
        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5", 81));
    }

    [Fact]
    public void A_Service_that_becomes_headless_and_a_slice_that_loses_its_label_leave()
    {
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}"""));
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3"));
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"None","ports":[{"port":80}]}"""));
        _peers.Slices.Set(Slice("shop/web-1", null, Web, "10.244.1.3"));

        Assert.Equal("class private", _peers.Find("10.96.0.5"));
        Assert.Equal("class pods", _peers.Find("10.244.1.3"));
        Assert.Equal(0, _peers.Metrics.Addresses.Value);
    }

    [Fact]
    public void Deleted_objects_leave_and_unknown_ones_do_no_harm()
    {
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}"""));
        _peers.Nodes.Set(Node("worker-1", "10.0.0.11"));
        _peers.Services.Remove(Service("shop/other", "{}"));
        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5"));

        _peers.Services.Remove(Service("shop/web", "{}"));
        _peers.Nodes.Remove(Node("worker-1"));

        Assert.Equal("class private", _peers.Find("10.96.0.5"));
        Assert.Equal("class private", _peers.Find("10.0.0.11"));
    }

    [Fact]
    public void A_list_drops_the_objects_of_its_resource_that_are_not_in_it()
    {
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}"""));
        _peers.Services.Set(Service("shop/old", """{"clusterIP":"10.96.0.6","ports":[{"port":80}]}"""));
        _peers.Slices.Set(Slice("shop/old", "old", Web, "10.244.1.3"));

        Assert.True(_peers.Services.TakeList([Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}"""), Service("shop/new", """{"clusterIP":"10.96.0.7","ports":[{"port":80}]}""")], default, false, false));

        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5"));
        Assert.Equal("class private", _peers.Find("10.96.0.6"));
        Assert.Equal("service shop/new vip service", _peers.Find("10.96.0.7"));
        Assert.Equal("service shop/old endpoint pods", _peers.Find("10.244.1.3"));
    }

    [Fact]
    public void Names_stay_while_the_API_server_is_away()
    {
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"10.96.0.5","ports":[{"port":80}]}"""));
        _peers.Services.SetCurrent(false);
        _peers.Clock.Advance(TimeSpan.FromDays(1));

        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5"));
    }

    [Fact]
    public void The_first_change_is_seen_at_once_and_later_ones_together_within_a_second()
    {
        var first = _peers.Store.Table;
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3"));
        var second = _peers.Store.Table;
        for (var change = 0; change < 500; change++)
        {
            _peers.Slices.Set(Slice("shop/web-1", "web", Web, $"10.244.2.{change % 250}"));
            Assert.Same(second, _peers.Store.Table);
        }
        _peers.Clock.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Same(second, _peers.Store.Table);
        _peers.Clock.Advance(TimeSpan.FromMilliseconds(1));

        Assert.NotSame(first, second);
        Assert.NotSame(second, _peers.Store.Table);
        Assert.Equal("web", _peers.Store.Table.Find(Bytes("10.244.2.249"), 80, Tcp).Name);
        Assert.Equal("pods", _peers.Store.Table.Find(Bytes("10.244.2.248"), 80, Tcp).Name);
    }

    [Fact]
    public void A_change_that_concerns_no_address_publishes_nothing()
    {
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3", "10.244.1.4"));
        _peers.Clock.Advance(TimeSpan.FromSeconds(5));
        var table = _peers.Store.Table;

        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.4", "10.244.1.3", "10.244.1.3"));
        _peers.Services.Set(Service("shop/web", """{"clusterIP":"None"}"""));
        _peers.Clock.Advance(TimeSpan.FromSeconds(5));

        Assert.Same(table, _peers.Store.Table);
    }

    [Fact]
    public void A_table_that_is_being_read_does_not_change()
    {
        _peers.Slices.Set(Slice("shop/web-1", "web", Web, "10.244.1.3"));
        var table = _peers.Store.Table;
        _peers.Slices.Remove(Slice("shop/web-1", "web", Web));
        _peers.Clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("web", table.Find(Bytes("10.244.1.3"), 80, Tcp).Name);
        Assert.Equal("pods", _peers.Store.Table.Find(Bytes("10.244.1.3"), 80, Tcp).Name);
    }

    /// <summary>Each list and change against one that remembers every object and searches them all.</summary>
    [Fact]
    public void Any_changes_leave_what_the_remaining_objects_say()
    {
        var change = Gen.Select(Gen.Int[0, 9], Gen.Int[0, 4], Gen.Int[0, 9].Array[0, 6], Gen.Int[0, 3]);
        change.Array[1, 60].Sample(
            changes =>
            {
                using var peers = new KnownPeers();
                var objects = new Dictionary<string, EndpointSliceDocument>();
                foreach (var (name, service, hosts, kind) in changes)
                {
                    var slice = Slice($"shop/s{name}", $"v{service}", Web, [.. hosts.Select(host => $"10.244.0.{host}")]);
                    if (kind == 0)
                    {
                        objects.Remove(slice.Metadata.Name);
                        peers.Slices.Remove(slice);
                    }
                    else if (kind == 1 && name == 0)
                    {
                        objects = objects.Where((_, i) => i % 2 == 0).ToDictionary();
                        peers.Slices.TakeList([.. objects.Values], default, false, false);
                    }
                    else
                    {
                        objects[slice.Metadata.Name] = slice;
                        peers.Slices.Set(slice);
                    }
                }
                for (var host = 0; host < 10; host++)
                {
                    var named = objects.Values.Where(slice => slice.Describe().Addresses.Contains(IPAddress.Parse($"10.244.0.{host}"))).Select(slice => slice.Describe().Name).Order(StringComparer.Ordinal);
                    Assert.Equal(named.FirstOrDefault() is { } name ? $"service shop/{name} endpoint pods" : "class pods", peers.Find($"10.244.0.{host}"));
                }
                Assert.Equal(objects.Values.Sum(slice => slice.Describe().Addresses.Distinct().Count()), peers.Metrics.Addresses.Value);
            },
            seed: "0000KOIPe036",
            iter: 300);
    }

    [Fact]
    public void Addresses_beyond_the_limit_are_refused_counted_and_logged_once()
    {
        const int PerSlice = PeerStore.MaxAddresses / 4;
        for (var slice = 0; slice < 6; slice++)
        {
            _peers.Store.Set(new(PeerRole.Endpoint, "shop", $"web-{slice}", "web", [.. Enumerable.Range(0, PerSlice).Select(i => new IPAddress((uint)((slice << 24) + i)))], []));
        }
        _peers.Clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(PeerStore.MaxAddresses, _peers.Metrics.Addresses.Value);
        Assert.Equal(2 * PerSlice, _peers.Metrics.Refused.Value);
        Assert.StartsWith("There are more than 262144 addresses", Assert.Single(_peers.Logger.Entries).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_list_makes_room_for_itself_by_those_that_it_does_not_have()
    {
        PeerFacts Full(string name, byte first) =>
            new(PeerRole.Endpoint, "shop", name, "web", [.. Enumerable.Range(0, PeerStore.MaxAddresses).Select(i => new IPAddress([first, (byte)(i >> 16), (byte)(i >> 8), (byte)i]))], []);
        _peers.Store.Set(Full("web-1", 11));

        _peers.Store.Replace(PeerRole.Endpoint, [Full("web-2", 12)]);

        Assert.Equal(0, _peers.Metrics.Refused.Value);
        Assert.Equal("service shop/web endpoint internet", _peers.Find("12.0.0.0"));
        Assert.Equal("class internet", _peers.Find("11.0.0.0"));
    }

    [Fact]
    public void Ports_beyond_the_limit_are_refused_and_counted()
    {
        _peers.Store.Set(new(PeerRole.Vip, "shop", "web", "web", [IPAddress.Parse("10.96.0.5")], [.. Enumerable.Range(1, PeerStore.MaxPorts + 5).Select(port => PeerSource.Port((ushort)port, Tcp))]));

        Assert.Equal(5, _peers.Metrics.Refused.Value);
        Assert.StartsWith("Service shop/web has more than 1024 ports", Assert.Single(_peers.Logger.Entries).Text, StringComparison.Ordinal);
        Assert.Equal("service shop/web vip service", _peers.Find("10.96.0.5", PeerStore.MaxPorts));
        Assert.Equal("class private", _peers.Find("10.96.0.5", PeerStore.MaxPorts + 1));
    }

    [Fact]
    public void Names_are_kept_once_and_only_while_they_are_used()
    {
        var names = new PeerNames();
        string Copy() => new("web".AsSpan());
        var first = names.Take(Copy());
        Assert.Same(first, names.Take(Copy()));
        names.Release("web");
        Assert.Same(first, names.Take(Copy()));
        names.Release("web");
        names.Release("web");

        Assert.NotSame(first, names.Take(Copy()));
    }
}
