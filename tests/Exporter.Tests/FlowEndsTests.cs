using System.Buffers.Binary;
using System.Net;
using Exporter.Peers;
using Exporter.Pods;
using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Names of both ends of a flow.</summary>
public sealed class FlowEndsTests
{
    private readonly PodTable _pods = new();
    private readonly FlowEnds _ends;

    public FlowEndsTests()
    {
        var table = PeerTable.Of(PeerClasses.BuiltIn);
        _ends = new(_pods, () => table);
    }

    [Fact]
    public void A_pod_of_the_node_has_its_name_and_no_class()
    {
        Add(1, "10.0.0.4", "web-0");
        _ends.Refresh();

        var end = _ends.FindRemote(Key("10.0.0.9", 4000, "10.0.0.4", 80), out _);

        Assert.Equal(("shop", "web-0", "web", "Deployment", ""), (end?.Namespace, end?.Pod, end?.Workload, end?.WorkloadKind, end?.Class));
        Assert.Equal(("workload", "shop", "web"), _ends.FindPeer(Key("10.0.0.9", 4000, "10.0.0.4", 80)));
    }

    [Fact]
    public void A_pod_without_a_workload_is_its_own_in_records_as_in_edges()
    {
        Add(1, "10.0.0.4", "web-0", workload: "");
        _ends.Refresh();

        Assert.Equal("web-0", _ends.FindRemote(Key("10.0.0.9", 4000, "10.0.0.4", 80), out _)?.Workload);
        Assert.Equal(("workload", "shop", "web-0"), _ends.FindPeer(Key("10.0.0.9", 4000, "10.0.0.4", 80)));
    }

    [Fact]
    public void Of_two_interfaces_with_one_address_the_later_one_has_it()
    {
        Add(1, "10.0.0.4", "web-0");
        Add(2, "10.0.0.4", "web-1");
        _ends.Refresh();

        Assert.Equal("web-1", _ends.FindRemote(Key("10.0.0.9", 4000, "10.0.0.4", 80), out _)?.Pod);
    }

    [Fact]
    public void An_address_that_no_pod_has_any_more_is_of_its_class()
    {
        Add(1, "192.168.0.4", "web-0");
        _ends.Refresh();
        _pods.Current = _pods.Current.Remove(1);
        _ends.Refresh();

        Assert.Equal("private", _ends.FindRemote(Key("10.0.0.9", 4000, "192.168.0.4", 80), out _)?.Class);
    }

    [Theory]
    [InlineData("8.8.8.8", "internet")]
    [InlineData("169.254.169.254", "metadata")]
    [InlineData("224.0.0.1", "multicast")]
    [InlineData("fd00::1", "private")]
    [InlineData("2001:db8::1", "internet")]
    public void Other_addresses_have_a_class(string address, string @class)
    {
        var key = Key(address.Contains(':', StringComparison.Ordinal) ? "fd00::9" : "10.0.0.9", 4000, address, 80);

        Assert.Equal(@class, _ends.FindRemote(key, out _)?.Class);
        Assert.Equal(("class", "", @class), _ends.FindPeer(key));
    }

    [Fact]
    public void The_end_with_the_higher_port_has_begun_where_nothing_else_is_known()
    {
        Assert.Equal((true, FlowOrientation.Port), _ends.Guess(Key("10.0.0.9", 4000, "8.8.8.8", 80)));
        Assert.Equal((false, FlowOrientation.Port), _ends.Guess(Key("10.0.0.9", 80, "8.8.8.8", 4000)));
    }

    /// <summary>Else a sum over the observers has the connection twice, or not at all.</summary>
    [Theory]
    [InlineData("10.0.0.9", 7000, "10.0.0.10", 7000)]
    [InlineData("10.0.0.9", 0, "10.0.0.10", 0)]
    [InlineData("fd00::9", 7000, "fd00::1:9", 7000)]
    public void Both_observers_of_one_connection_with_equal_ports_see_the_same_end_begin(string one, int onePort, string other, int otherPort)
    {
        var (isFirst, orientation) = _ends.Guess(Key(one, (ushort)onePort, other, (ushort)otherPort));

        Assert.Equal(FlowOrientation.Port, orientation);
        Assert.Equal((!isFirst, FlowOrientation.Port), _ends.Guess(Key(other, (ushort)otherPort, one, (ushort)onePort)));
    }

    [Fact]
    public void A_pod_that_is_shown_otherwise_has_its_new_names()
    {
        var owner = Add(1, "10.0.0.4", "web-0");
        _ends.Refresh();
        Assert.Equal("web-0", _ends.FindPod(owner)?.Pod);

        owner.Pod = owner.Pod! with { Workload = "other" };

        Assert.Equal("other", _ends.FindPod(owner)?.Workload);
    }

    private PodInterface Add(int ifindex, string address, string pod, string workload = "web")
    {
        var owner = CountingNode.NewInterface(ifindex, generation: ifindex);
        owner.Addresses = [IPAddress.Parse(address)];
        owner.Pod = new("shop", pod, new("shop", pod)) { Workload = workload, WorkloadKind = "Deployment" };
        _pods.Current = _pods.Current.SetItem(ifindex, owner);
        return owner;
    }

    private static FlowKey Key(string local, ushort localPort, string remote, ushort remotePort)
    {
        var (from, to) = (IPAddress.Parse(local).GetAddressBytes(), IPAddress.Parse(remote).GetAddressBytes());
        var key = new FlowKey
        {
            Ifindex = 9,
            Family = from.Length == 4 ? FlowKey.Ipv4 : FlowKey.Ipv6,
            Protocol = 6,
            LocalPort = BinaryPrimitives.ReverseEndianness(localPort),
            RemotePort = BinaryPrimitives.ReverseEndianness(remotePort),
        };
        from.CopyTo((Span<byte>)key.Local);
        to.CopyTo((Span<byte>)key.Remote);
        return key;
    }
}
