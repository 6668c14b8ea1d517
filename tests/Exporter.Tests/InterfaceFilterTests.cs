using Exporter.Interfaces;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class InterfaceFilterTests
{
    [Theory]
    [InlineData("veth", 0, true)]
    [InlineData("netkit", 0, true)]
    [InlineData("veth", 12, true)]
    [InlineData("veth", null, false)]
    [InlineData("netkit", null, false)]
    [InlineData("bridge", 0, false)]
    [InlineData("macvlan", 0, false)]
    [InlineData("vxlan", 0, false)]
    [InlineData("", 0, false)]
    public void A_pod_interface_is_a_veth_or_netkit_with_its_other_end_elsewhere(string kind, int? peerNamespaceId, bool expected) =>
        Assert.Equal(expected, TestOptions.Read().Attach.IsPodInterface(new(7, "eth0", kind, 1, 2, peerNamespaceId)));

    [Theory]
    [InlineData("", "", "cali1", true)]
    [InlineData("^cali", "", "cali1", true)]
    [InlineData("^cali", "", "veth1", false)]
    [InlineData("", "^docker", "docker1", false)]
    [InlineData("", "^docker", "veth1", true)]
    [InlineData("^veth", "1$", "veth2", true)]
    [InlineData("^veth", "1$", "veth1", false)]
    [InlineData("^veth", "1$", "cali2", false)]
    public void Names_are_included_and_excluded_by_the_options(string include, string exclude, string name, bool expected)
    {
        var options = TestOptions.Read(("Attach:Include", include), ("Attach:Exclude", exclude)).Attach;

        Assert.Equal(expected, options.IsPodInterface(new(7, name, "veth", 1, 2, 0)));
    }

    [Fact]
    public void An_included_name_alone_makes_no_pod_interface() =>
        Assert.False(TestOptions.Read(("Attach:Include", ".*")).Attach.IsPodInterface(new(1, "lo", "", 0, 0, null)));
}
