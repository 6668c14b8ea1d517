using System.Collections;
using System.Net;
using Exporter.Kubernetes;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.JoiningNode;

namespace Exporter.Tests;

/// <summary>The pods that the API server tells of, and their claims to addresses.</summary>
public sealed class PodStoreTests
{
    private readonly JoiningNode _node = new();

    [Fact]
    public void Claims_to_an_address_are_in_the_order_in_which_they_were_told()
    {
        var web = _node.NewPod("web", Address);
        _node.Tell(web with { Addresses = [] });
        _node.Tell(_node.NewPod("db", Address));
        _node.Tell(web);
        _node.Tell(web);

        Assert.Equal(["db", "web"], Claims().Select(claim => claim.Pod.State.Description.Name));
        Assert.All(Claims(), claim => Assert.Equal((null, null, ToldPod.Told(_node.Now)), (claim.EndTime, claim.ListedAt, claim.StartTime)));
    }

    [Fact]
    public void A_pod_claims_each_of_its_addresses_once()
    {
        _node.Tell(_node.NewPod("web", Address, "fd00::1", Address, null!, "no address"));

        Assert.Single(Claims());
        Assert.Single(Claims("fd00::1"));
        Assert.Equal([Address, "fd00::1"], Assert.Single(_node.Store.Pods).State.Addresses.Select(address => address.ToString()));
    }

    [Fact]
    public void An_older_API_servers_only_address_is_claimed()
    {
        _node.Store.Set(new() { Metadata = new() { Uid = "one", Name = "web" }, Status = new() { PodIP = Address } });

        Assert.Single(Claims());
    }

    [Fact]
    public void A_pod_in_the_hosts_network_is_known_and_claims_nothing()
    {
        _node.Tell(_node.NewPod("proxy", Address) with { HostNetwork = true });

        Assert.Empty(Claims());
        var pod = Assert.Single(_node.Store.Pods).State;
        Assert.True(pod.HostNetwork);
        Assert.Empty(pod.Addresses);
    }

    [Fact]
    public void What_has_no_uid_is_no_pod()
    {
        _node.Tell(_node.NewPod("web", Address) with { Uid = "" });

        Assert.Equal(0, _node.Store.Count);
        Assert.Empty(Claims());
    }

    [Fact]
    public void A_claim_ends_when_the_pod_loses_the_address_and_the_same_address_is_claimed_anew()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        _node.Pass(7);
        _node.Tell(pod with { Addresses = [OtherAddress] });
        var lostAt = _node.Now;
        _node.Pass(7);
        _node.Tell(pod);

        Assert.Equal([lostAt, null], Claims().Select(claim => claim.EndTime));
        Assert.Equal([_node.Now], Claims(OtherAddress).Select(claim => claim.EndTime));
    }

    [Fact]
    public void A_claim_ends_with_the_last_container_that_ended()
    {
        var pod = _node.NewPod("job", Address);
        _node.Tell(pod);
        _node.Pass(60);

        _node.Tell(pod with { Phase = "Failed", FinishedAt = [Start.AddSeconds(5), null, Start.AddSeconds(9), Start.AddSeconds(1)] });

        Assert.Equal(Start.AddSeconds(9), Assert.Single(Claims()).EndTime);
    }

    [Fact]
    public void A_container_that_ended_ends_no_claim_while_the_pod_goes_on()
    {
        _node.Tell(_node.NewPod("web", Address) with { FinishedAt = [Start, null] });

        Assert.Null(Assert.Single(Claims()).EndTime);
    }

    [Fact]
    public void A_claim_ends_when_it_is_told_that_the_pod_is_over_or_deleted_where_nothing_says_when()
    {
        var web = _node.NewPod("web", Address);
        var db = _node.NewPod("db", OtherAddress);
        _node.Tell(web);
        _node.Pass(7);

        _node.Tell(web.Over(null));
        _node.TellDeleted(db);

        Assert.Equal([_node.Now, _node.Now], Claims().Concat(Claims(OtherAddress)).Select(claim => claim.EndTime));
    }

    [Fact]
    public void An_end_stays_what_it_was_told_first()
    {
        var pod = _node.NewPod("job", Address);
        _node.Tell(pod);
        _node.Pass(3);
        var ended = ToldPod.Told(_node.Now);
        _node.Tell(pod.Over(ended));
        _node.Pass(60);
        _node.Tell(pod.Over(ended + TimeSpan.FromSeconds(30)));
        _node.TellDeleted(pod.Over(null));

        Assert.Equal(ended, Assert.Single(Claims()).EndTime);
    }

    [Fact]
    public void A_list_says_from_when_on_its_new_claims_are_good_and_of_no_other()
    {
        var known = _node.NewPod("known", Address);
        _node.Tell(known);
        var askedAt = _node.Now + TimeSpan.FromSeconds(1);
        _node.Pass(2);

        _node.List(askedAt, known, _node.NewPod("new", OtherAddress), _node.NewPod("over", "10.0.0.3").Over(Start), _node.NewPod("evicted", "10.0.0.4").Over(null, "Failed"));

        Assert.Null(Assert.Single(Claims()).ListedAt);
        Assert.Equal(askedAt, Assert.Single(Claims(OtherAddress)).ListedAt);
        Assert.Equal((null, ToldPod.Told(Start)), (Assert.Single(Claims("10.0.0.3")).ListedAt, Claims("10.0.0.3")[0].EndTime));
        Assert.Equal((null, DateTimeOffset.MinValue), (Assert.Single(Claims("10.0.0.4")).ListedAt, Claims("10.0.0.4")[0].EndTime));
    }

    [Fact]
    public void A_list_beside_the_watch_changes_nothing_and_what_is_known_is_complete_when_the_watch_has_delivered_it()
    {
        var (web, gone) = (_node.NewPod("web", Address), _node.NewPod("gone", OtherAddress));
        _node.Tell(web);
        _node.Tell(gone);
        var askedAt = _node.Now;
        _node.Pass(1);
        var (later, next) = (web.Running(_node.Now), _node.NewPod("next", OtherAddress));

        _node.Answer(askedAt, later, next);

        Assert.True(_node.Store.IsBehind);
        Assert.Equal(["gone", "web"], _node.Store.Pods.Select(pod => pod.State.Description.Name).Order(StringComparer.Ordinal));
        _node.Tell(web with { Phase = "Pending" });
        _node.Tell(later);
        _node.TellDeleted(gone);
        Assert.True(_node.Store.CompleteAt < askedAt);
        _node.Tell(next);
        Assert.Equal((false, askedAt), (_node.Store.IsBehind, _node.Store.CompleteAt));
        Assert.Equal(["gone", "next"], Claims(OtherAddress).Select(claim => claim.Pod.State.Description.Name));
    }

    [Fact]
    public void A_list_beside_the_watch_that_shows_nothing_new_makes_complete_at_once()
    {
        var web = _node.NewPod("web", Address);
        _node.Tell(web);

        _node.Answer(_node.Now, web);

        Assert.Equal((false, _node.Now), (_node.Store.IsBehind, _node.Store.CompleteAt));
        Assert.True(_node.Store.GapAt < _node.Now);
    }

    [Fact]
    public void A_lists_claims_are_in_the_order_in_which_the_pods_were_started()
    {
        var first = _node.NewPod("z", Address).Over(Start);
        _node.Pass(5);
        var second = _node.NewPod("a", Address);

        _node.List(_node.Now, second, first);

        Assert.Equal(["z", "a"], Claims().Select(claim => claim.Pod.State.Description.Name));
    }

    [Fact]
    public void What_a_list_does_not_have_is_gone()
    {
        var web = _node.NewPod("web", Address);
        _node.Tell(web);
        _node.Tell(_node.NewPod("db", OtherAddress));
        _node.Pass(1);

        _node.List(_node.Now, web);

        Assert.Equal(["web"], _node.Store.Pods.Select(pod => pod.State.Description.Name));
        Assert.Null(Assert.Single(Claims()).EndTime);
        Assert.Equal(_node.Now, Assert.Single(Claims(OtherAddress)).EndTime);
    }

    [Fact]
    public void A_claim_that_is_over_stays_for_the_wait_and_no_longer()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        _node.Tell(_node.NewPod("db", Address));
        _node.TellDeleted(pod);

        _node.Pass(Keep.TotalSeconds);
        _node.Store.RemoveExpired();
        Assert.Equal(2, Claims().Length);
        _node.Pass(0.001);
        _node.Store.RemoveExpired();

        Assert.Equal("db", Assert.Single(Claims()).Pod.State.Description.Name);
        _node.TellDeleted(_node.NewPod("db", Address));
        _node.Pass(Keep.TotalSeconds + 1);
        _node.Store.RemoveExpired();
        Assert.Empty(Claims());
    }

    [Fact]
    public void A_claim_of_a_pod_that_is_over_and_still_there_stays()
    {
        _node.Tell(_node.NewPod("job", Address).Over(Start));

        _node.Pass(3600);
        _node.Store.RemoveExpired();

        Assert.Single(Claims());
    }

    [Fact]
    public void A_static_pod_that_is_shown_anew_has_its_claim_again_and_keeps_it()
    {
        var pod = _node.NewPod("etcd", Address) with { StaticUid = "hash", Uid = "one" };
        _node.Tell(pod);
        _node.Pass(1);
        _node.TellDeleted(pod);
        Assert.NotNull(Assert.Single(Claims()).EndTime);

        _node.Tell(pod with { Uid = "two", Namespace = "kube-system" });
        Assert.Single(Claims());
        _node.Pass(Keep.TotalSeconds + 1);
        _node.Store.RemoveExpired();

        var claim = Assert.Single(Claims());
        Assert.Null(claim.EndTime);
        Assert.Equal("kube-system", claim.Pod.State.Description.Namespace);
        Assert.Equal(1, _node.Store.Count);

        // The second end counts.
        _node.TellDeleted(pod with { Uid = "two" });
        _node.Pass(Keep.TotalSeconds);
        _node.Store.RemoveExpired();
        Assert.Single(Claims());
        _node.Pass(0.001);
        _node.Store.RemoveExpired();
        Assert.Empty(Claims());
    }

    [Fact]
    public void A_pod_that_is_no_static_one_never_has_an_old_claim_again()
    {
        var pod = _node.NewPod("web", Address) with { Uid = "one" };
        _node.TellDeleted(pod);
        _node.Tell(pod);

        Assert.Equal(2, Claims().Length);
    }

    /// <summary>Asked by another thread in any moment: a claim that is over never looks as if it were not.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_pod_that_is_over_when_it_is_first_told_of_has_no_claim_that_goes_on_in_any_moment(bool isListed)
    {
        var seen = new List<DateTimeOffset?>();
        var document = _node.NewPod("job", Address).Document;
        document = document with
        {
            Status = document.Status with { Phase = "Succeeded", ContainerStatuses = new Watched<ContainerStatus?>([], () => seen.AddRange(Claims().Select(claim => claim.EndTime))) },
        };

        if (isListed)
        {
            _node.Store.Reset([document], _node.Now);
        }
        else
        {
            _node.Store.Set(document);
        }

        Assert.DoesNotContain(null, seen);
        Assert.NotNull(Assert.Single(Claims()).EndTime);
    }

    [Fact]
    public void Every_change_is_counted()
    {
        var pod = _node.NewPod("web", Address);
        var changes = new List<long> { _node.Store.Changes };
        _node.Tell(pod);
        changes.Add(_node.Store.Changes);
        _node.Tell(pod with { Labels = new Dictionary<string, string> { ["a"] = "b" } });
        changes.Add(_node.Store.Changes);
        _node.List(_node.Now);
        changes.Add(_node.Store.Changes);
        _node.TellDeleted(pod);
        changes.Add(_node.Store.Changes);

        Assert.Equal(changes.Distinct().Order(), changes);
    }

    [Fact]
    public void A_list_of_nothing_changes_nothing_where_nothing_is_known()
    {
        var changes = _node.Store.Changes;

        _node.List(_node.Now);

        Assert.Equal(changes, _node.Store.Changes);
    }

    [Fact]
    public void It_is_current_since_it_was_last_told_so_for_the_first_time()
    {
        var store = new PodStore(_node.Time, Keep);
        Assert.Null(store.CurrentSince);
        store.SetCurrent(true);
        var since = _node.Now;
        _node.Pass(Keep.TotalSeconds);
        store.SetCurrent(true);
        Assert.Equal((since, _node.Now), (store.CurrentSince, store.HeardAt));

        _node.Pass(Keep.TotalSeconds + 0.001);
        store.SetCurrent(true);
        Assert.Equal(_node.Now, store.CurrentSince);

        store.SetCurrent(false);
        Assert.Null(store.CurrentSince);
        Assert.Equal(_node.Now, store.HeardAt);
        _node.Pass(1);
        store.SetCurrent(false);
        Assert.Null(store.CurrentSince);
        store.SetCurrent(true);
        Assert.Equal(_node.Now, store.CurrentSince);
    }

    [Theory]
    [InlineData(0, 30)]
    [InlineData(300, 300)]
    public void A_pause_is_a_silence_after_the_wait_and_half_a_minute(int keep, int seconds)
    {
        var store = new PodStore(_node.Time, TimeSpan.FromSeconds(keep));
        store.SetCurrent(true);
        var since = _node.Now;

        _node.Pass(seconds);
        store.SetCurrent(true);
        Assert.Equal(since, store.CurrentSince);
        _node.Pass(seconds + 0.001);
        store.SetCurrent(true);

        Assert.Equal(_node.Now, store.CurrentSince);
    }

    private System.Collections.Immutable.ImmutableArray<AddressClaim> Claims(string address = Address) => _node.Store.GetClaims(IPAddress.Parse(address));

    /// <summary>Says when it is read.</summary>
    private sealed class Watched<T>(IReadOnlyList<T> items, Action read) : IReadOnlyList<T>
    {
        public int Count => items.Count;

        public T this[int index] => items[index];

        public IEnumerator<T> GetEnumerator()
        {
            read();
            return items.GetEnumerator();
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
