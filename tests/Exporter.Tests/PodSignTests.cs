using Exporter.Pods;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.JoiningNode;

namespace Exporter.Tests;

/// <summary>Which claims an interface may take: an address that the API server shows may be from before the interface.</summary>
public sealed class PodSignTests
{
    private static readonly DateTimeOffset LongAgo = BootedAt - TimeSpan.FromHours(1);

    private readonly JoiningNode _node = new(isListed: false);

    private static ToldPod Old(string name, params string[] addresses) => new ToldPod(name) { StartTime = LongAgo, Addresses = addresses }.Running(LongAgo);

    /// <summary>The API server shows addresses from before the boot, and each status comes after its sandbox.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void After_a_boot_an_address_in_the_first_list_names_no_new_interface(bool isOwnFirst)
    {
        var (a, b) = (Old("a", Address), Old("b", OtherAddress));
        _node.ListFirst(a, b);
        _node.Pass(3);
        var owner = _node.Appear(Address);
        Assert.Null(_node.Identify(owner));
        _node.Pass(1);

        var told = new[] { () => _node.Tell(b with { Addresses = [Address] }), () => _node.Tell(a with { Addresses = ["10.0.7.2"] }) };
        told[isOwnFirst ? 0 : 1]();
        Assert.Equal(isOwnFirst ? "b" : null, _node.Identify(owner));
        told[isOwnFirst ? 1 : 0]();
        Assert.Equal("b", _node.Identify(owner));
        _node.TellDeleted(a);
        Assert.Equal("b", _node.Identify(owner));
    }

    /// <summary>The sandbox was made before the exporter came, but not before the boot.</summary>
    [Fact]
    public void An_interface_that_was_there_is_not_of_a_pod_whose_signs_are_from_before_the_boot()
    {
        var (a, b) = (Old("a", Address), Old("b", OtherAddress));
        var owner = _node.Find(Address);
        _node.ListFirst(a, b);
        Assert.Null(_node.Identify(owner));

        _node.Tell((b with { Addresses = [Address] }).Running(_node.Now));

        Assert.Equal("b", _node.Identify(owner));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_interface_that_was_there_is_of_a_listed_pod_with_a_sign_since_the_boot(bool hasContainer)
    {
        var pod = Old("web", Address) with { StartedAt = [] };
        var since = BootedAt + TimeSpan.FromMinutes(1);
        var owner = _node.Find(Address);

        _node.ListFirst(hasContainer ? pod.Running(since) : pod with { ReadyAt = since });

        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>A kubelet removes the address before it makes the sandbox again.</summary>
    [Fact]
    public void Addresses_that_a_kubelet_removes_and_gives_on_name_their_new_pods()
    {
        var (a, b) = (Old("a", Address), Old("b", OtherAddress));
        _node.ListFirst(a, b);
        _node.Tell(a with { Addresses = [], StartedAt = [] });
        _node.Tell(b with { Addresses = [], StartedAt = [] });
        _node.Pass(0.3);
        PodInterface[] owners = [_node.Appear(Address), _node.Appear(OtherAddress)];
        Assert.All(owners, owner => Assert.Null(_node.Identify(owner)));
        _node.Pass(1);

        _node.Tell((b with { Addresses = [Address] }).Running(_node.Now));
        Assert.Equal(["b", null], owners.Select(_node.Identify));
        _node.Tell((a with { Addresses = [OtherAddress] }).Running(_node.Now));

        Assert.Equal(["b", "a"], owners.Select(_node.Identify));
    }

    [Fact]
    public void The_answer_to_a_question_is_not_a_sign()
    {
        var a = Old("a", Address);
        _node.ListFirst(a);
        _node.Pass(3);
        var owner = _node.Appear(Address);
        for (var i = 0; i < 10; i++)
        {
            _node.Pass(10);
            _node.Answer(_node.Now, a);
            Assert.Null(_node.Identify(owner));
        }
    }

    [Fact]
    public void A_container_that_is_started_again_is_a_sign_of_a_sandbox_made_again_with_the_same_address()
    {
        var pod = Old("web", Address) with { StartTime = BootedAt, StartedAt = [BootedAt] };
        var first = _node.Find(Address);
        _node.ListFirst(pod);
        Assert.Equal("web", _node.Identify(first));
        _node.Pass(10);
        _node.Leave(first);
        _node.Source.Forget(first);
        var second = _node.Appear(Address);
        _node.Pass(5);
        Assert.Null(_node.Identify(second));

        _node.Tell(pod.Running(_node.Now));

        Assert.Equal("web", _node.Identify(second));
    }

    [Fact]
    public void A_pod_whose_first_sandbox_failed_has_the_interface_of_its_second()
    {
        _node.ListFirst();
        var pod = _node.NewPod("web") with { Phase = "Pending" };
        _node.Tell(pod);
        _node.LeaveAndForget(_node.Appear(Address));
        _node.Pass(5);
        var owner = _node.Appear(Address);
        Assert.Null(_node.Identify(owner));
        _node.Pass(1);

        _node.Tell((pod with { Phase = "Running", Addresses = [Address] }).Running(_node.Now));

        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>As by a finalizer, an older kubelet, or an API server that was away: each was deleted, and its address given on.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Pods_that_are_ending_when_they_are_listed_do_not_take_the_interfaces_of_their_successors(bool containersEnded)
    {
        _node.ListFirst();
        var pods = new List<ToldPod>();
        var owners = new List<PodInterface>();
        _node.Store.SetCurrent(false);
        for (var i = 0; i < 4; i++)
        {
            var pod = _node.NewPod($"pod-{i}", Address);
            owners.Add(_node.Appear(Address));
            _node.Pass(1);
            pods.Add(pod.Running(_node.Now));
            _node.Pass(14);
            if (i < 3)
            {
                var ending = containersEnded ? pods[i].Over(_node.Now, "Running") : pods[i];
                pods[i] = ending with { DeletedAt = ToldPod.Told(_node.Now) };
                _node.LeaveAndForget(owners[i]);
            }
        }

        _node.List(_node.Now, [.. pods]);

        Assert.Equal("pod-3", _node.Identify(owners[3]));
        var late = _node.Appear(OtherAddress);
        Assert.Null(_node.Identify(late));
    }

    [Fact]
    public void An_interface_goes_from_a_pod_that_has_ended_to_the_living_one_that_has_its_address()
    {
        var former = Old("former", Address) with { StartTime = BootedAt, StartedAt = [BootedAt] };
        var owner = _node.Find(Address);
        _node.ListFirst(former);
        Assert.Equal("former", _node.Identify(owner));

        _node.Tell((Old("next", Address) with { StartTime = BootedAt }).Running(_node.Now));
        Assert.Equal("former", _node.Identify(owner));
        _node.TellDeleted(former);

        Assert.Equal("next", _node.Identify(owner));
    }

    /// <summary>Two pods have the address, one of them besides its own.</summary>
    [Fact]
    public void An_interface_gives_back_an_address_of_another_pod_that_its_pod_has_besides_its_own()
    {
        _node.ListFirst();
        var (a, b) = (_node.NewPod("a", Address), _node.NewPod("b", OtherAddress));
        _node.Tell(b);
        var both = _node.Appear(Address, OtherAddress);
        Assert.Equal("b", _node.Identify(both));
        var own = _node.Appear(OtherAddress);
        Assert.Null(_node.Identify(own));

        _node.Tell(a);

        Assert.Equal("a", _node.Identify(both));
        Assert.Equal("b", _node.Identify(own));
    }

    /// <summary>The pod was listed with an address that it no longer had, and no living pod claims that yet.</summary>
    [Fact]
    public async Task An_interface_is_nobodys_once_its_pod_shows_other_addresses()
    {
        var (a, b) = (_node.NewPod("a", Address).Running(_node.Now), _node.NewPod("b"));
        var owner = _node.Find(Address);
        _node.ListFirst(a, b);
        Assert.Equal("a", _node.Identify(owner));
        _node.Pass(10);

        _node.Tell((a with { Addresses = ["10.0.7.2"] }).Running(_node.Now));

        Assert.Null(_node.Identify(owner));
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_undecided_interfaces_total"]);
        _node.TellDeleted(a with { Addresses = ["10.0.7.2"] });
        _node.Pass(100);
        _node.Leave(owner);
        Assert.Null(_node.Identify(owner));
        Assert.Equal(1, (await _node.ScrapeAsync())["podnet_exporter_undecided_interfaces_total"]);
    }

    [Fact]
    public void An_interface_that_was_released_is_the_pods_that_claims_its_address_later()
    {
        var (a, b) = (_node.NewPod("a", Address).Running(_node.Now), _node.NewPod("b"));
        var owner = _node.Find(Address);
        _node.ListFirst(a, b);
        _node.Identify(owner);
        _node.Tell(a with { Addresses = [OtherAddress] });
        Assert.Null(_node.Identify(owner));

        _node.Tell((b with { Addresses = [Address] }).Running(_node.Now));

        Assert.Equal("b", _node.Identify(owner));
    }

    [Fact]
    public void Both_interfaces_of_a_pod_that_shows_other_addresses_are_nobodys()
    {
        var first = _node.Find(Address);
        var second = new PodInterface(first.Link, first.Generation + 100, _node.Now) { Sibling = first, Addresses = first.Addresses };
        var pod = _node.NewPod("web", Address).Running(_node.Now);
        _node.ListFirst(pod);
        Assert.Equal(["web", "web"], new[] { first, second }.Select(_node.Identify));

        _node.Tell(pod with { Addresses = [OtherAddress] });

        Assert.Equal([null, null], new[] { first, second }.Select(_node.Identify));
        Assert.Equal([null, null], new[] { first, second }.Select(_node.Identify));
    }

    /// <summary>A kubelet removes the addresses for a moment, and a pod that is over may lose them; an address of two may go.</summary>
    [Theory]
    [InlineData("moment")]
    [InlineData("over")]
    [InlineData("deleted")]
    [InlineData("second")]
    public void An_interface_stays_its_pods_while_no_other_addresses_are_shown(string change)
    {
        var pod = _node.NewPod("web", Address, "fd00::1").Running(_node.Now);
        _node.ListFirst();
        _node.Tell(pod);
        var owner = _node.Appear(Address, "fd00::1");
        Assert.Equal("web", _node.Identify(owner));
        _node.Pass(10);

        switch (change)
        {
            case "moment":
                _node.Tell(pod with { Addresses = [] });
                break;
            case "over":
                _node.Tell(pod.Over(_node.Now) with { Addresses = [] });
                break;
            case "deleted":
                _node.TellDeleted(pod);
                break;
            default:
                _node.Tell(pod with { Addresses = ["fd00::1"] });
                break;
        }

        Assert.Equal("web", _node.Identify(owner));
        _node.Pass(100);
        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>The sandbox is made again: the kernel's event of the old interface's end may be read after the pod's.</summary>
    [Fact]
    public void What_the_interface_of_a_previous_sandbox_carried_is_its_pods()
    {
        var pod = _node.NewPod("web", Address).Running(_node.Now);
        _node.ListFirst();
        _node.Tell(pod);
        var owner = _node.Appear(Address);
        _node.Identify(owner);
        _node.Pass(10);
        _node.Tell(pod with { Addresses = [OtherAddress] });
        Assert.Null(_node.Identify(owner));
        _node.Pass(1);

        _node.Leave(owner);

        Assert.Equal("web", _node.Identify(owner));
    }

    /// <summary>Its pod is known from a previous process; another pod of the same name is not that one.</summary>
    [Theory]
    [InlineData(false, null)]
    [InlineData(true, "web")]
    public void A_restored_interface_whose_pod_shows_other_addresses_is_nobodys(bool isLaterPod, string? expected)
    {
        var pod = _node.NewPod("web", OtherAddress).Running(_node.Now);
        var owner = _node.Find(Address);
        owner.Pod = new("shop", "web", new("shop", "web"));
        _node.Pass(10);

        _node.ListFirst(isLaterPod ? _node.NewPod("web", OtherAddress).Running(_node.Now) : pod);

        Assert.Equal(expected, _node.Identify(owner));
    }

    [Fact]
    public async Task Pods_are_counted_by_whether_an_interface_of_theirs_is_known()
    {
        var host = _node.NewPod("proxy", "192.168.0.1") with { HostNetwork = true };
        var (web, sandboxed) = (_node.NewPod("web", Address), _node.NewPod("sandboxed", OtherAddress));
        var (over, pending) = (_node.NewPod("job", "10.0.0.9").Over(_node.Now), _node.NewPod("pending") with { Phase = "Pending" });
        _node.ListFirst(host, web, sandboxed, over, pending);
        await AssertPodsAsync(with: 0, without: 2, host: 1);

        var owner = _node.Find(Address);
        Assert.Equal("web", _node.Identify(owner));
        await AssertPodsAsync(with: 1, without: 1, host: 1);

        _node.Leave(owner);
        _node.Source.Forget(owner);
        await AssertPodsAsync(with: 0, without: 2, host: 1);

        _node.TellDeleted(web);
        _node.TellDeleted(host);
        await AssertPodsAsync(with: 0, without: 1, host: 0);
    }

    /// <summary>Each once, and only if pods claim its address.</summary>
    [Fact]
    public async Task Interfaces_that_stay_without_a_pod_although_pods_claim_their_addresses_are_counted()
    {
        _node.ListFirst(Old("a", Address));
        _node.Pass(3);
        var (claimed, gone, unclaimed) = (_node.Appear(Address), _node.Appear(Address), _node.Appear(OtherAddress));
        await AssertUndecidedAsync(0);

        _node.LeaveAndForget(gone);
        await AssertUndecidedAsync(1);
        _node.Pass(29);
        await AssertUndecidedAsync(1);
        _node.Pass(2);
        await AssertUndecidedAsync(2);
        _node.Pass(100);
        await AssertUndecidedAsync(2);

        async Task AssertUndecidedAsync(int expected)
        {
            Assert.All([claimed, unclaimed], owner => Assert.Null(_node.Identify(owner)));
            Assert.Equal(expected, (await _node.ScrapeAsync())["podnet_exporter_undecided_interfaces_total"]);
        }
    }

    [Fact]
    public void The_API_server_is_asked_once_for_an_interface_that_has_no_pod_for_five_seconds()
    {
        _node.ListFirst(Old("web", OtherAddress));
        var owner = _node.Appear(Address);
        _node.Pass(4.999);
        Assert.Null(_node.Identify(owner));
        Assert.False(IsAsked());

        _node.Pass(0.001);
        Assert.Null(_node.Identify(owner));
        Assert.True(IsAsked());

        _node.Pass(100);
        Assert.Null(_node.Identify(owner));
        Assert.False(IsAsked());
    }

    [Fact]
    public void An_interface_without_an_address_asks_for_nothing()
    {
        _node.ListFirst();
        var owner = _node.Appear();
        _node.Pass(100);
        Assert.Null(_node.Identify(owner));
        Assert.False(IsAsked());
    }

    [Fact]
    public void A_list_from_the_cache_takes_nothing_away_and_replaces_nothing()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        _node.ListFirst(pod with { Addresses = [OtherAddress] }, Old("old", "10.0.0.9"));

        Assert.Equal(["old 10.0.0.9", "web 10.0.0.1"], _node.Source.GetKnownPods().Select(known => $"{known.Identity.Name} {known.Addresses[0]}").Order());
    }

    private async Task AssertPodsAsync(int with, int without, int host)
    {
        _node.Source.TakeChanges();
        var metrics = await _node.ScrapeAsync();
        string[] states = ["with_interface", "without_interface", "host_network"];
        Assert.Equal<double>([with, without, host], states.Select(state => metrics[$"podnet_exporter_pods{{state=\"{state}\"}}"]));
    }

    private bool IsAsked() => _node.Store.Questions.TryTake();
}
