using System.Runtime.CompilerServices;
using Exporter.Pods;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.JoiningNode;

namespace Exporter.Tests;

/// <summary>Whose interfaces are, by the addresses in their namespaces and what the API server tells.</summary>
public sealed class KubernetesPodSourceTests
{
    private const string Address6 = "fd00::1";

    private readonly JoiningNode _node = new();

    [Fact]
    public void An_interface_is_the_pods_whose_address_was_told_before()
    {
        _node.Tell(_node.NewPod("web", Address));
        _node.Tell(_node.NewPod("db", OtherAddress));

        var owner = _node.Appear(Address);

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void An_interface_is_the_pods_whose_address_is_told_later()
    {
        var pod = _node.NewPod("web");
        _node.Tell(pod);
        var owner = _node.Appear(Address);
        Assert.Null(_node.Identify(owner));

        _node.Pass(3);
        _node.Tell(pod with { Addresses = [Address] });

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void Other_labels_are_shown_of_what_is_known_already()
    {
        _node.Tell(_node.NewPod("web", Address) with { Labels = new Dictionary<string, string> { ["app"] = "shop" } });
        var owner = _node.Appear(Address);
        _node.Identify(owner);

        var restored = _node.ChangeOptions(("Metrics:PodLabels", "pod;label:app"), owner)[0];

        Assert.True(_node.Source.TakeChanges());
        Assert.Equal(["web", "shop"], _node.Source.Identify(restored)!.Labels.Values);
        Assert.Equal(["web", "shop"], Assert.Single(_node.Source.GetKnownPods()).Identity.Labels.Values);
    }

    [Fact]
    public void A_pod_that_has_ended_keeps_its_interface_over_a_change_of_options()
    {
        var pod = _node.NewPod("job", Address);
        _node.Tell(pod);
        var owner = _node.Appear(Address);
        _node.Identify(owner);
        _node.TellDeleted(pod);

        var restored = _node.ChangeOptions(("Metrics:PodLabels", "pod"), owner)[0];

        Assert.Equal("job", _node.Identify(restored));
    }

    [Fact]
    public void An_interface_that_waits_keeps_its_place_over_a_change_of_options()
    {
        var first = _node.Appear(Address);
        Assert.Null(_node.Identify(first));
        var restored = _node.ChangeOptions(("Metrics:PodLabels", "pod"), first)[0];
        _node.Leave(restored);
        _node.Pass(1);
        var second = _node.Appear(Address);
        Assert.Null(_node.Identify(second));

        _node.Tell(_node.NewPod("one", Address) with { StartTime = ToldPod.Told(Start), DeletedAt = null });
        Assert.Null(_node.Identify(second));

        Assert.Equal("one", _node.Identify(restored));
    }

    [Fact]
    public void An_interface_that_is_forgotten_keeps_its_place_over_a_change_of_options()
    {
        var gone = _node.Appear(Address);
        _node.LeaveAndForget(gone);
        _node.Pass(1);
        var next = _node.Appear(Address);
        Assert.Null(_node.Identify(next));

        var restored = _node.ChangeOptions(("Metrics:PodLabels", "pod"), next)[0];
        _node.Tell(_node.NewPod("one", Address) with { StartTime = ToldPod.Told(Start) });

        Assert.Null(_node.Identify(restored));
    }

    [Fact]
    public void Of_labels_without_measure_the_first_by_name_are_kept()
    {
        var labels = Enumerable.Range(0, 1000).ToDictionary(i => $"key-{i:0000}", i => new string('x', 63));
        _node.Tell(_node.NewPod("web", Address) with { Labels = labels });
        var owner = _node.Appear(Address);
        _node.Identify(owner);

        var restored = _node.ChangeOptions(("Metrics:PodLabels", "label:key-0000;label:key-0999"), owner)[0];

        Assert.Equal([labels["key-0000"], ""], _node.Source.Identify(restored)!.Labels.Values);
    }

    [Fact]
    public void An_interface_without_an_address_is_nobodys_until_it_has_one()
    {
        _node.Tell(_node.NewPod("web", Address));
        var owner = _node.Appear();
        Assert.Null(_node.Identify(owner));

        owner.Addresses = [System.Net.IPAddress.Parse(Address)];

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void An_interface_whose_address_has_changed_waits_by_its_new_one()
    {
        var owner = _node.Appear(Address);
        _node.Identify(owner);
        owner.Addresses = [System.Net.IPAddress.Parse(OtherAddress)];
        _node.Identify(owner);
        var next = _node.Appear(Address);

        _node.Tell(_node.NewPod("web", Address));
        _node.Tell(_node.NewPod("db", OtherAddress));

        Assert.Equal("web", _node.Identify(next));
        Assert.Equal("db", _node.Identify(owner));
    }

    /// <summary>As while its namespace is taken down.</summary>
    [Fact]
    public void An_interface_that_has_lost_its_address_keeps_its_place()
    {
        var pod = _node.NewPod("former", Address);
        var former = _node.Appear(Address);
        Assert.Null(_node.Identify(former));
        former.Addresses = new List<System.Net.IPAddress>();
        _node.LeaveAndForget(former);
        var owner = _node.Appear(Address);

        _node.Tell(pod);
        Assert.Null(_node.Identify(owner));
        _node.Tell(_node.NewPod("next", Address));

        Assert.Equal("next", _node.Identify(owner));
    }

    [Theory]
    [InlineData(Address)]
    [InlineData(Address6)]
    [InlineData(Address, Address6)]
    [InlineData(Address6, "192.168.7.7", Address)]
    public void Any_of_a_pods_addresses_names_it(params string[] addresses)
    {
        _node.Tell(_node.NewPod("web", Address, Address6));

        Assert.Equal("web", _node.Identify(_node.Appear(addresses)));
    }

    /// <summary>A pod of two addresses has one interface for both.</summary>
    [Theory]
    [InlineData(Address, Address6)]
    [InlineData(Address6)]
    [InlineData(OtherAddress, Address6)]
    public void An_address_that_a_known_pod_was_not_found_by_is_taken_as_well(params string[] addresses)
    {
        _node.Tell(_node.NewPod("former", Address, Address6));
        var former = _node.Appear(Address, Address6);
        Assert.Equal("former", _node.Identify(former));
        _node.Leave(former);
        _node.Source.Forget(former);
        var next = _node.NewPod("next", addresses);
        var owner = _node.Appear(addresses);
        Assert.Null(_node.Identify(owner));

        _node.Tell(next);

        Assert.Equal("next", _node.Identify(owner));
    }

    [Fact]
    public void Several_interfaces_of_a_namespace_are_one_pods()
    {
        var first = _node.Appear(Address, "192.168.7.7");
        var second = _node.Appear(first, Address, "192.168.7.7");
        _node.Tell(_node.NewPod("web", Address));

        Assert.Equal("web", _node.Identify(second));
        Assert.Equal("web", _node.Identify(first));
        Assert.Equal("web", _node.Identify(_node.Appear(second, Address)));
    }

    [Fact]
    public void Another_interface_with_the_address_of_a_pod_that_has_its_own_is_nobodys()
    {
        _node.Tell(_node.NewPod("web", Address));
        var first = _node.Appear(Address);
        Assert.Equal("web", _node.Identify(first));

        Assert.Null(_node.Identify(_node.Appear(Address)));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    public void Several_interfaces_of_a_pod_that_are_gone_before_it_is_told_of_take_one_place(params int[] order)
    {
        var start = _node.NewPod("former", Address);
        var first = _node.Appear(Address);
        PodInterface[] gone = [first, _node.Appear(first, Address)];
        _node.Pass(1);
        Array.ForEach(order, i => _node.LeaveAndForget(gone[i]));
        var owner = _node.Appear(Address);
        Assert.Null(_node.Identify(owner));

        _node.Tell(start);
        Assert.Null(_node.Identify(owner));
        _node.Tell(start with { Name = "next" });

        Assert.Equal("next", _node.Identify(owner));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    public void Several_interfaces_that_are_gone_and_still_asked_for_are_the_pods(params int[] order)
    {
        var pod = _node.NewPod("web", Address);
        var first = _node.Appear(Address);
        PodInterface[] gone = [first, _node.Appear(first, Address)];
        Assert.All(gone, owner => Assert.Null(_node.Identify(owner)));
        _node.Leave(gone);
        var next = _node.Appear(Address);

        _node.Tell(pod);

        Assert.Null(_node.Identify(next));
        Assert.All(order, i => Assert.Equal("web", _node.Identify(gone[i])));
    }

    [Fact]
    public void A_pod_in_the_hosts_network_is_never_an_interfaces()
    {
        var owner = _node.Appear(Address);

        _node.Tell(_node.NewPod("proxy", Address) with { HostNetwork = true });
        Assert.Null(_node.Identify(owner));
        _node.Tell(_node.NewPod("web", Address));

        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>A Job's pod keeps its podIP when it is over.</summary>
    [Theory]
    [InlineData("Succeeded", true)]
    [InlineData("Failed", true)]
    [InlineData("Failed", false)]
    public void A_pod_that_is_over_does_not_take_the_interface_of_the_next_with_its_address(string phase, bool saysWhen)
    {
        // Its own interface was gone before the exporter came.
        var job = _node.NewPod("job", Address);
        _node.Tell(job.Over(saysWhen ? _node.Now : null, phase));
        _node.Pass(4);
        var web = _node.NewPod("web", Address);
        var owner = _node.Appear(Address);
        Assert.Null(_node.Identify(owner));

        _node.Tell(web);

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void What_is_told_late_of_the_former_owner_of_an_address_changes_nothing()
    {
        var job = _node.NewPod("job", Address);
        _node.Tell(job);
        var former = _node.Appear(Address);
        Assert.Equal("job", _node.Identify(former));
        _node.Pass(1);
        job = job.Over(_node.Now);
        _node.Leave(former);
        _node.Source.Forget(former);
        var web = _node.NewPod("web", Address);
        var owner = _node.Appear(Address);

        _node.Tell(web);
        Assert.Equal("web", _node.Identify(owner));
        _node.Tell(job);
        Assert.Equal("web", _node.Identify(owner));
        _node.TellDeleted(job);
        Assert.Equal("web", _node.Identify(owner));

        // Nor does it for who comes next.
        _node.TellDeleted(web.Over(_node.Now));
        _node.Leave(owner);
        _node.Source.Forget(owner);
        Assert.Null(_node.Identify(_node.Appear(Address)));
    }

    [Fact]
    public void An_interface_that_is_known_stays_its_pods_when_that_is_deleted()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        var owner = _node.Appear(Address);
        Assert.Equal("web", _node.Identify(owner));

        _node.TellDeleted(pod);
        _node.Pass(3600);
        _node.Store.RemoveExpired();

        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>The kubelet makes a static pod's object again, with another uid, and its sandbox goes on.</summary>
    [Fact]
    public void A_static_pod_that_is_shown_anew_keeps_its_interface_and_takes_no_other()
    {
        var pod = _node.NewPod("etcd", Address) with { StaticUid = "hash", Uid = "one" };
        _node.Tell(pod);
        var owner = _node.Appear(Address);
        Assert.Equal("etcd", _node.Identify(owner));

        _node.TellDeleted(pod);
        _node.Pass(1);
        _node.Tell(pod with { Uid = "two", Addresses = [], Annotations = new Dictionary<string, string> { ["podnet.io/scrape"] = "false" } });
        _node.Tell(pod with { Uid = "two", Annotations = new Dictionary<string, string> { ["podnet.io/scrape"] = "false" } });

        Assert.Equal("etcd", _node.Identify(owner));
        Assert.True(_node.Source.Identify(owner)!.IsExcluded);
        Assert.Null(_node.Identify(_node.Appear(Address)));
    }

    [Fact]
    public void A_pod_that_is_made_again_under_its_name_is_another()
    {
        var pod = _node.NewPod("web-0", Address) with { Uid = "one" };
        _node.Tell(pod);
        var former = _node.Appear(Address);
        Assert.Equal("web-0", _node.Identify(former));
        _node.TellDeleted(pod);
        _node.Leave(former);

        _node.Tell(_node.NewPod("web-0", OtherAddress) with { Uid = "two", Labels = new Dictionary<string, string> { ["a"] = "b" } });

        Assert.Equal("web-0", _node.Identify(_node.Appear(OtherAddress)));
        Assert.Equal("web-0", _node.Identify(former));
        Assert.Equal(1, _node.Store.Count);
    }

    [Fact]
    public void A_sandbox_that_is_made_anew_with_another_address_is_the_pods_as_soon_as_that_is_told()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        var former = _node.Appear(Address);
        Assert.Equal("web", _node.Identify(former));
        _node.Pass(10);
        _node.Leave(former);
        var owner = _node.Appear(OtherAddress);
        Assert.Null(_node.Identify(owner));

        _node.Tell(pod with { Addresses = [OtherAddress] });

        Assert.Equal("web", _node.Identify(owner));
        Assert.Equal("web", _node.Identify(former));
    }

    [Fact]
    public void A_sandbox_that_is_made_anew_with_an_address_that_was_lost_meanwhile_is_the_pods_at_once()
    {
        var (pod, owner) = RemakeSandbox();

        _node.Tell(pod with { Addresses = [] });
        _node.Tell(pod);

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void A_sandbox_that_keeps_one_of_two_addresses_is_the_pods_as_soon_as_the_other_is_shown()
    {
        var pod = _node.NewPod("web", Address, Address6);
        _node.Tell(pod);
        var first = _node.Appear(Address, Address6);
        Assert.Equal("web", _node.Identify(first));
        _node.Pass(10);
        _node.Leave(first);
        var owner = _node.Appear(OtherAddress, Address6);
        Assert.Null(_node.Identify(owner));

        _node.Tell(pod with { Addresses = [OtherAddress, Address6] });

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void An_interface_stays_the_pods_that_shows_one_of_its_two_addresses_when_another_pod_claims_the_other()
    {
        var web = _node.NewPod("web", Address, Address6);
        _node.Tell(web);
        var owner = _node.Appear(Address, Address6);
        Assert.Equal("web", _node.Identify(owner));

        _node.Tell(web with { Addresses = [Address6] });
        _node.Tell(_node.NewPod("next", Address));

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void A_sandbox_that_is_made_anew_with_the_same_address_is_the_pods_some_seconds_after_it_is_told_of()
    {
        var (pod, owner) = RemakeSandbox();

        _node.Tell(pod);
        _node.Pass(4.999);
        _node.List(_node.Now, pod);
        Assert.Null(_node.Identify(owner));
        _node.Pass(0.001);
        _node.List(_node.Now, pod);

        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>That the pod is over may be on its way: a connection that is cut is as quiet.</summary>
    [Fact]
    public void A_sandbox_that_is_made_anew_is_nobodys_while_the_API_server_is_silent()
    {
        var (pod, owner) = RemakeSandbox();
        _node.Tell(pod);
        _node.Pass(20);

        Assert.Null(_node.Identify(owner));

        _node.List(_node.Now, pod);
        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void An_interface_with_a_pods_address_is_not_that_pods_while_nothing_is_told_of_it()
    {
        var (_, owner) = RemakeSandbox();

        _node.Pass(3600);

        Assert.Null(_node.Identify(owner));
    }

    public static TheoryData<string> Endings => ["deleting", "succeeded", "deleted", "moved", "claimed"];

    [Theory]
    [MemberData(nameof(Endings))]
    public void An_interface_with_the_address_of_a_pod_that_does_not_go_on_is_not_that_pods(string ending)
    {
        var (pod, owner) = RemakeSandbox();

        switch (ending)
        {
            case "deleting":
                _node.Tell(pod with { DeletedAt = ToldPod.Told(_node.Now) });
                break;
            case "succeeded":
                _node.Tell(pod.Over(_node.Now - TimeSpan.FromSeconds(1)));
                break;
            case "deleted":
                _node.TellDeleted(pod);
                break;
            case "moved":
                _node.Tell(pod with { Addresses = [OtherAddress] });
                break;
            default:
                _node.Tell(pod);
                _node.Pass(1);
                // Taken up after the interface came: it is not this one's either.
                _node.Tell(_node.NewPod("next", Address) with { StartTime = _node.Now });
                _node.TellDeleted(_node.NewPod("next", Address));
                break;
        }
        _node.Pass(60);

        Assert.Null(_node.Identify(owner));
    }

    [Fact]
    public void A_second_interface_with_a_pods_address_is_not_that_pods_while_the_first_is_there()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        var former = _node.Appear(Address);
        Assert.Equal("web", _node.Identify(former));
        _node.Pass(10);
        var owner = _node.Appear(Address);
        _node.Pass(1);
        _node.Tell(pod);
        _node.Pass(10);
        _node.List(_node.Now, pod);
        Assert.Null(_node.Identify(owner));

        _node.Leave(former);

        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>As after a kubelet's restart: a pod's start is told anew, and its sandbox is older.</summary>
    [Fact]
    public void A_pod_whose_start_is_told_as_later_than_its_interface_has_it_some_seconds_later()
    {
        var owner = _node.Appear(Address);
        _node.Pass(60);

        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        _node.Pass(1);
        _node.List(_node.Now, pod);
        Assert.Null(_node.Identify(owner));
        _node.Pass(4);
        _node.List(_node.Now, pod);

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void An_interface_that_was_there_before_the_node_took_the_pod_up_is_not_that_pods()
    {
        var former = _node.Appear(Address);
        Assert.Null(_node.Identify(former));
        _node.Pass(1);
        _node.Leave(former);
        var owner = _node.Appear(Address);

        _node.Tell(_node.NewPod("web", Address));

        Assert.Null(_node.Identify(former));
        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>The pods' ends and beginnings are in the same seconds.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Pods_that_follow_each_other_on_an_address_are_told_apart_however_late_they_are_told_of(bool isForgotten)
    {
        const int Pods = 60;
        var told = new List<ToldPod>();
        var gone = new List<PodInterface>();
        for (var i = 0; i < Pods; i++)
        {
            told.Add(_node.NewPod($"job-{i}", Address));
            var owner = _node.Appear(Address);
            Assert.Null(_node.Identify(owner));
            _node.Pass(0.03);
            told[i] = told[i].Over(_node.Now);
            _node.Leave(owner);
            gone.Add(owner);
            if (isForgotten)
            {
                _node.Source.Forget(owner);
            }
        }
        var last = _node.NewPod("last", Address);
        var current = _node.Appear(Address);
        Assert.Null(_node.Identify(current));

        foreach (var pod in told)
        {
            _node.Tell(pod with { Phase = "Running", FinishedAt = [] });
            Assert.Null(_node.Identify(current));
            _node.Tell(pod);
            Assert.Null(_node.Identify(current));
            _node.TellDeleted(pod);
        }
        _node.Tell(last);

        Assert.Equal("last", _node.Identify(current));
        if (!isForgotten)
        {
            Assert.Equal(told.Select(pod => pod.Name), gone.AsEnumerable().Reverse().Select(_node.Identify).Reverse());
        }
    }

    [Fact]
    public void A_place_in_the_order_is_kept_over_an_outage_of_the_API_server_and_some_time_more()
    {
        _node.Hear();
        var former = _node.NewPod("former", Address);
        var gone = _node.Appear(Address);
        _node.Pass(1);
        _node.Store.SetCurrent(false);
        _node.LeaveAndForget(gone);
        var owner = _node.Appear(Address);
        for (var hour = 0; hour < 10; hour++)
        {
            _node.Pass(3600);
            Assert.Null(_node.Identify(owner));
        }

        _node.Hear();
        _node.Pass(Keep.TotalSeconds);
        Assert.Null(_node.Identify(owner));
        _node.Tell(former);
        Assert.Null(_node.Identify(owner));
        _node.Tell(former with { Name = "next" });

        Assert.Equal("next", _node.Identify(owner));
    }

    /// <summary>A connection that is cut somewhere on its way is not known to be for minutes.</summary>
    [Fact]
    public void A_place_in_the_order_is_kept_over_a_silence_of_the_API_server_and_some_time_more()
    {
        var former = _node.NewPod("former", Address);
        _node.LeaveAndForget(_node.Appear(Address));
        var owner = _node.Appear(Address);
        _node.Pass(140);
        Assert.Null(_node.Identify(owner));

        _node.Hear();
        Assert.Null(_node.Identify(owner));
        _node.Pass(Keep.TotalSeconds);
        _node.Hear();
        Assert.Null(_node.Identify(owner));
        _node.Tell(former);
        Assert.Null(_node.Identify(owner));
        _node.Tell(former with { Name = "next" });

        Assert.Equal("next", _node.Identify(owner));
    }

    /// <summary>What is told first after an outage was so before it.</summary>
    [Fact]
    public void An_interface_that_came_in_an_outage_is_not_given_to_the_former_pod_by_what_is_told_late_of_that()
    {
        var former = _node.NewPod("former", Address);
        _node.Tell(former);
        var gone = _node.Appear(Address);
        Assert.Equal("former", _node.Identify(gone));
        _node.Store.SetCurrent(false);
        _node.Leave(gone);
        _node.Source.Forget(gone);
        _node.Pass(1);
        var next = _node.NewPod("next", Address);
        var owner = _node.Appear(Address);
        _node.Pass(60);
        Assert.Null(_node.Identify(owner));

        _node.Hear();
        _node.Tell(former);
        Assert.Null(_node.Identify(owner));
        _node.TellDeleted(former);
        Assert.Null(_node.Identify(owner));
        _node.Tell(next);

        Assert.Equal("next", _node.Identify(owner));
    }

    [Fact]
    public void A_place_in_the_order_goes_away_when_its_pod_would_have_been_told_of()
    {
        _node.Hear();
        var pod = _node.NewPod("web", Address);
        _node.LeaveAndForget(_node.Appear(Address));
        var owner = _node.Appear(Address);
        _node.Pass(Keep.TotalSeconds + 0.001);
        _node.Hear();
        Assert.Null(_node.Identify(owner));
        _node.Pass(Keep.TotalSeconds + 0.001);
        Assert.Null(_node.Identify(owner));

        _node.Tell(pod);

        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>The oldest has to go, the newest does not; the pod of the oldest is nobody else's.</summary>
    [Fact]
    public void An_outage_of_the_API_server_keeps_no_more_than_4096_places()
    {
        var former = _node.NewPod("former", Address);
        var next = _node.NewPod("next", OtherAddress);
        _node.LeaveAndForget(_node.Appear(Address));
        _node.Pass(2);
        var pod = _node.NewPod("web", Address);
        var owner = _node.Appear(Address);
        for (var i = 0; i < 4095; i++)
        {
            _node.Source.Forget(_node.Appear($"10.1.{i / 256}.{i % 256}"));
        }
        _node.Source.Forget(_node.Appear(OtherAddress));
        var other = _node.Appear(OtherAddress);
        Assert.Null(_node.Identify(owner));
        Assert.Null(_node.Identify(other));

        _node.Tell(former);
        _node.Tell(next);
        Assert.Null(_node.Identify(owner));
        Assert.Null(_node.Identify(other));

        _node.TellDeleted(former);
        _node.Tell(pod);
        Assert.Equal("web", _node.Identify(owner));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_interface_that_was_there_before_the_exporter_is_the_live_pods_of_those_with_its_address(bool saysWhen)
    {
        var node = new JoiningNode(isListed: false);
        var job = node.NewPod("job", Address);
        node.Pass(30);
        job = job.Over(saysWhen ? node.Now : null, saysWhen ? "Succeeded" : "Failed");
        node.Pass(3);
        var web = node.NewPod("web", Address);
        node.Pass(30);
        var owner = node.Find(Address);
        Assert.Null(node.Identify(owner));

        node.ListFirst(web, job);

        Assert.Equal("web", node.Identify(owner));
    }

    [Fact]
    public void An_interface_that_was_gone_before_a_list_was_asked_for_is_none_of_its_pods()
    {
        // Its own pod is gone as well, and what was told of it was missed.
        var web = _node.NewPod("web", Address);
        var gone = _node.Appear(Address);
        var forgotten = _node.Appear(OtherAddress);
        Assert.Null(_node.Identify(gone));
        Assert.Null(_node.Identify(forgotten));
        _node.Leave(gone);
        _node.LeaveAndForget(forgotten);
        PodInterface[] owners = [_node.Appear(Address), _node.Appear(OtherAddress)];
        Assert.All(owners, owner => Assert.Null(_node.Identify(owner)));
        _node.Pass(0.001);

        _node.List(_node.Now, web, web with { Name = "db", Addresses = [OtherAddress] });

        Assert.Null(_node.Identify(gone));
        Assert.Equal(["web", "db"], owners.Select(_node.Identify));
    }

    [Fact]
    public void An_interface_that_goes_after_a_list_was_asked_for_may_be_one_of_its_pods()
    {
        var web = _node.NewPod("web", Address);
        var owner = _node.Appear(Address);
        Assert.Null(_node.Identify(owner));
        var askedAt = _node.Now;
        _node.Pass(1);
        _node.Leave(owner);
        _node.List(askedAt, web);

        Assert.Equal("web", _node.Identify(owner));
    }

    [Fact]
    public void An_interface_of_a_pod_that_ended_while_events_were_missed_is_still_that_pods()
    {
        var job = _node.NewPod("job", Address);
        var gone = _node.Appear(Address);
        Assert.Null(_node.Identify(gone));
        _node.Pass(3);
        job = job.Over(_node.Now);
        _node.Leave(gone);
        var web = _node.NewPod("web", Address);
        var owner = _node.Appear(Address);
        _node.Pass(3);

        _node.List(_node.Now, web, job);

        Assert.Equal("web", _node.Identify(owner));
        Assert.Equal("job", _node.Identify(gone));
    }

    [Fact]
    public void An_interface_after_one_that_a_list_left_undecided_does_not_take_the_next_ones_pod()
    {
        ToldPod[] pods = [_node.NewPod("one", Address), _node.NewPod("two", Address)];
        _node.Pass(4);
        var first = _node.Appear(Address);
        Assert.Null(_node.Identify(first));
        _node.Pass(1);
        // Pods that came and went before may have been missed.
        _node.List(_node.Now);
        var three = _node.NewPod("three", Address);
        _node.Leave(first);
        var second = _node.Appear(Address);
        Assert.Null(_node.Identify(second));
        _node.Pass(3);
        _node.Leave(second);
        var third = _node.Appear(Address);

        foreach (var pod in (ToldPod[])[.. pods, three])
        {
            _node.Tell(pod);
            _node.Tell(pod.Over(_node.Now));
        }
        _node.Leave(third);

        Assert.Null(_node.Identify(first));
        // It may have been the second pod's, if the first interface was not.
        Assert.Null(_node.Identify(second));
    }

    [Fact]
    public void A_list_leaves_interfaces_with_the_pods_that_are_known()
    {
        var web = _node.NewPod("web", Address);
        _node.Tell(web);
        var owner = _node.Appear(Address);
        Assert.Equal("web", _node.Identify(owner));
        _node.Pass(60);

        _node.List(_node.Now, web);

        Assert.Equal("web", _node.Identify(owner));
        Assert.Null(_node.Identify(_node.Appear(Address)));
    }

    [Fact]
    public void What_is_told_of_a_known_pod_changes_how_it_is_shown()
    {
        var node = new JoiningNode(("Metrics:PodLabels", "pod;label:app"));
        var pod = node.NewPod("web", Address);
        node.Tell(pod);
        var owner = node.Appear(Address);
        Assert.Equal("web", node.Identify(owner));
        var before = node.Source.Identify(owner)!;

        node.Tell(pod with { Labels = new Dictionary<string, string> { ["app"] = "shop" } });

        Assert.True(node.Source.TakeChanges());
        Assert.False(node.Source.TakeChanges());
        var after = node.Source.Identify(owner)!;
        Assert.NotEqual(before, after);
        Assert.Equal(["web", ""], before.Labels.Values);
        Assert.Equal(["web", "shop"], after.Labels.Values);
    }

    [Fact]
    public void A_label_that_is_not_shown_changes_nothing()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        var owner = _node.Appear(Address);
        _node.Identify(owner);
        var before = _node.Source.Identify(owner);

        _node.Tell(pod with { Labels = new Dictionary<string, string> { ["app"] = "shop" } });

        Assert.Equal(before, _node.Source.Identify(owner));
    }

    [Fact]
    public void An_annotation_leaves_a_pod_out_and_takes_it_back_at_run_time()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        var owner = _node.Appear(Address);
        _node.Identify(owner);
        Assert.False(_node.Source.Identify(owner)!.IsExcluded);

        _node.Tell(pod with { Annotations = new Dictionary<string, string> { ["podnet.io/scrape"] = "false" } });
        Assert.True(_node.Source.Identify(owner)!.IsExcluded);
        _node.Tell(pod with { Annotations = new Dictionary<string, string> { ["podnet.io/scrape"] = "true" } });
        Assert.False(_node.Source.Identify(owner)!.IsExcluded);
    }

    [Fact]
    public void Changes_are_taken_once_each()
    {
        Assert.True(_node.Source.TakeChanges());
        Assert.False(_node.Source.TakeChanges());

        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        Assert.True(_node.Source.TakeChanges());
        Assert.False(_node.Source.TakeChanges());
        _node.TellDeleted(pod);
        Assert.True(_node.Source.TakeChanges());
        Assert.False(_node.Source.TakeChanges());
    }

    [Fact]
    public void Nothing_is_left_of_ten_thousand_pods()
    {
        const int Pods = 10_000;
        _node.Hear();
        var interfaces = new List<WeakReference>(Pods);
        for (var i = 0; i < Pods; i++)
        {
            interfaces.Add(Live(i));
        }
        _node.Pass(Keep.TotalSeconds + 1);
        _node.Hear();
        _node.Source.TakeChanges();
        _node.Pass(Keep.TotalSeconds + 1);
        _node.Source.TakeChanges();
        _node.Store.RemoveExpired();

        GC.Collect();
        Assert.Equal(0, _node.Store.Count);
        Assert.All(Enumerable.Range(0, 250), i => Assert.Empty(_node.Store.GetClaims(System.Net.IPAddress.Parse($"10.0.1.{i}"))));
        // The stack may hold one.
        Assert.InRange(interfaces.Count(owner => owner.IsAlive), 0, 1);
    }

    /// <summary>One pod's life: told of in time, too late, or not at all; with one interface, two, or one that loses its address first.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private WeakReference Live(int i)
    {
        var pod = _node.NewPod($"pod-{i}", $"10.0.1.{i % 250}", $"fd00::{i % 250:x}");
        var owner = _node.Appear([.. pod.Addresses.OfType<string>()]);
        var second = i % 5 == 0 ? _node.Appear(owner, [.. pod.Addresses.OfType<string>()]) : null;
        if (i % 3 == 0)
        {
            _node.Tell(pod);
        }
        _node.Identify(owner);
        if (second is not null)
        {
            _node.Identify(second);
        }
        _node.Pass(0.2);
        if (i % 7 == 0)
        {
            owner.Addresses = [];
            _node.Identify(owner);
        }
        _node.Leave(owner);
        _node.Source.Forget(owner);
        if (second is not null)
        {
            _node.Leave(second);
            _node.Source.Forget(second);
        }
        if (i % 3 != 2)
        {
            _node.TellDeleted(pod);
        }
        _node.Hear();
        _node.Store.RemoveExpired();
        return new(owner);
    }

    /// <summary>The interface of a pod is gone, and another has its address.</summary>
    private (ToldPod Pod, PodInterface Owner) RemakeSandbox()
    {
        _node.Hear();
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        var former = _node.Appear(Address);
        Assert.Equal("web", _node.Identify(former));
        _node.Pass(10);
        _node.Leave(former);
        _node.Source.Forget(former);
        _node.Pass(1);
        var owner = _node.Appear(Address);
        Assert.Null(_node.Identify(owner));
        _node.Pass(1);
        return (pod, owner);
    }
}
