using System.Net;
using Exporter.Pods;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.JoiningNode;

namespace Exporter.Tests;

/// <summary>Interfaces with the same peer namespace have one pod, also if one of them comes later, goes earlier or is asked for first.</summary>
public sealed class SiblingInterfaceTests
{
    private readonly JoiningNode _node = new();

    /// <summary>An interface whose pod is known by the other one takes no place in the order of the pods, asked for or not.</summary>
    [Theory]
    [InlineData(0, 2, 4)]
    [InlineData(1, 2, 4)]
    [InlineData(1, 3, 5)]
    [InlineData(1, 0, 3, 2, 5, 4)]
    [InlineData(3, 1, 5)]
    [InlineData(5, 3, 1)]
    public void Pods_of_several_interfaces_that_follow_each_other_are_found_by_any_of_them(params int[] order)
    {
        var told = new List<ToldPod>();
        var gone = new List<PodInterface>();
        foreach (var name in new[] { "a", "b", "c" })
        {
            told.Add(_node.NewPod(name, Address).Running(_node.Now));
            var first = _node.Appear(Address);
            PodInterface[] owned = [first, _node.Appear(first, Address)];
            Assert.All(owned, owner => Assert.Null(_node.Identify(owner)));
            _node.Pass(0.03);
            _node.Leave(owned);
            gone.AddRange(owned);
        }
        told.ForEach(_node.Tell);

        Assert.All(order, i => Assert.Equal(told[i / 2].Name, _node.Identify(gone[i])));
    }

    /// <summary>Another veth was made between them, and it gets the address that becomes free.</summary>
    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(1, 0, 2)]
    [InlineData(1, 2, 0)]
    [InlineData(2, 0, 1)]
    [InlineData(2, 1, 0)]
    public void An_interface_that_was_made_between_a_pods_two_changes_nothing(params int[] order)
    {
        var (a, b) = (_node.NewPod("a", Address).Running(_node.Now), _node.NewPod("b", Address));
        var first = _node.Appear(Address);
        var between = _node.Appear();
        var second = _node.Appear(first, Address);
        PodInterface[] all = [first, between, second];
        Assert.All(all, owner => Assert.Null(_node.Identify(owner)));
        _node.Pass(0.03);
        _node.Leave(first, second);
        _node.SetAddresses(between, [IPAddress.Parse(Address)]);
        Assert.Null(_node.Identify(between));
        _node.Tell(a);
        _node.Tell(b);

        Array.ForEach(order, i => _node.Identify(all[i]));

        Assert.Equal(["a", "b", "a"], all.Select(_node.Identify));
    }

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(0, 2, 1)]
    [InlineData(1, 2, 0)]
    [InlineData(2, 1, 0)]
    public void Both_give_back_a_claim_that_is_another_pods(params int[] order)
    {
        var (a, b) = (_node.NewPod("a", Address), _node.NewPod("b", OtherAddress));
        _node.Tell(b);
        var first = _node.Appear(Address, OtherAddress);
        PodInterface[] all = [first, _node.Appear(first, Address, OtherAddress), _node.Appear(OtherAddress)];
        Assert.Equal(["b", "b", null], all.Select(_node.Identify));

        _node.Tell(a);
        Array.ForEach(order, i => _node.Identify(all[i]));

        Assert.Equal(["a", "a", "b"], all.Select(_node.Identify));
    }

    [Fact]
    public void A_claim_that_was_given_back_and_taken_stays_with_its_interface()
    {
        var (a, b) = (_node.NewPod("a", Address), _node.NewPod("b", OtherAddress));
        _node.Tell(b);
        var first = _node.Appear(Address, OtherAddress);
        var second = _node.Appear(first, Address, OtherAddress);
        Assert.Equal(["b", "b"], new[] { first, second }.Select(_node.Identify));
        var own = _node.Appear(OtherAddress);
        Assert.Null(_node.Identify(own));
        _node.Pass(0.03);
        _node.Leave(own);
        var next = _node.Appear(OtherAddress);
        Assert.Null(_node.Identify(next));
        _node.Pass(0.03);
        _node.Leave(next);

        _node.Tell(b.Over(_node.Now));
        _node.Tell(a);

        Assert.Equal(["a", "b", "a", null], new[] { first, own, second, next }.Select(_node.Identify));
    }

    [Fact]
    public async Task A_pod_has_an_interface_while_one_of_two_is_there()
    {
        _node.Tell(_node.NewPod("web", Address));
        var first = _node.Appear(Address);
        var second = _node.Appear(first, Address);
        Assert.Equal(["web", "web"], new[] { first, second }.Select(_node.Identify));

        _node.LeaveAndForget(second);
        Assert.Equal("web", _node.Identify(first));
        Assert.Equal((1, 0), await CountPodsAsync());

        _node.LeaveAndForget(first);
        _node.Source.TakeChanges();
        Assert.Equal((0, 1), await CountPodsAsync());
    }

    /// <summary>Neither a list that confirms the pod nor a container that is started again gives it to another namespace.</summary>
    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(0, true)]
    [InlineData(1, true)]
    public void A_pod_is_not_free_while_one_of_two_is_there(int leaving, bool isRestarted)
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        var first = _node.Appear(Address);
        PodInterface[] both = [first, _node.Appear(first, Address)];
        Assert.Equal(["web", "web"], both.Select(_node.Identify));
        _node.Pass(10);
        _node.LeaveAndForget(both[leaving]);
        var owner = _node.Appear(Address);
        _node.Pass(1);

        _node.Tell(isRestarted ? pod.Running(_node.Now + TimeSpan.FromSeconds(1)) : pod);
        _node.Pass(10);
        _node.List(_node.Now, pod);

        Assert.Null(_node.Identify(owner));
        Assert.Equal("web", _node.Identify(both[1 - leaving]));
    }

    [Fact]
    public void An_interface_that_comes_after_a_change_of_options_is_its_siblings_pods()
    {
        _node.Tell(_node.NewPod("web", Address));
        var first = _node.Appear(Address);
        var second = _node.Appear(first, Address);
        Assert.Equal(["web", "web"], new[] { first, second }.Select(_node.Identify));
        _node.LeaveAndForget(second);

        var restored = _node.ChangeOptions(("Metrics:PodLabels", "pod"), first)[0];

        Assert.Equal("web", _node.Identify(_node.Appear(restored, Address)));
    }

    [Fact]
    public void An_interface_that_waits_over_a_change_of_options_shares_the_place_of_one_that_is_forgotten()
    {
        var pod = _node.NewPod("web", Address);
        var first = _node.Appear(Address);
        var second = _node.Appear(first, Address);
        Assert.Equal([null, null], new[] { first, second }.Select(_node.Identify));
        _node.LeaveAndForget(first);
        var restored = _node.ChangeOptions(("Metrics:PodLabels", "pod"), second)[0];
        _node.Leave(restored);

        _node.Tell(pod);
        _node.Tell(pod with { Name = "next" });

        Assert.Equal("web", _node.Identify(restored));
    }

    /// <summary>The other address is another pod's, whose own interface is not seen.</summary>
    [Theory]
    [InlineData(OtherAddress, Address)]
    [InlineData(Address, OtherAddress)]
    public void An_interface_is_its_siblings_pods_by_any_of_its_addresses(params string[] addresses)
    {
        _node.Tell(_node.NewPod("web", OtherAddress));
        var first = _node.Appear(OtherAddress);
        Assert.Equal("web", _node.Identify(first));

        _node.Tell(_node.NewPod("next", Address));

        Assert.Equal("web", _node.Identify(_node.Appear(first, addresses)));
    }

    private async Task<(int With, int Without)> CountPodsAsync()
    {
        var metrics = await _node.ScrapeAsync();
        return ((int)metrics["podnet_exporter_pods{state=\"with_interface\"}"], (int)metrics["podnet_exporter_pods{state=\"without_interface\"}"]);
    }
}
