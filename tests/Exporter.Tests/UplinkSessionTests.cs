using Exporter.Bpf.Netlink;
using Exporter.Health;
using Exporter.Signals.Uplinks;

namespace Exporter.Tests;

/// <summary>An uplink over a change of options.</summary>
public sealed class UplinkSessionTests
{
    /// <summary>Drains are numbered from one on in each session: with the number of the previous one its slot would be kept for as many drains.</summary>
    [Fact]
    public void One_that_has_left_waits_for_the_next_drain_of_the_session()
    {
        var uplink = new Uplink(0, new NodeLink(7, "eth0", ""), default) { LeftAt = 500 };

        uplink.BeginSession();

        Assert.Equal(0, uplink.LeftAt);
    }

    [Fact]
    public void One_that_is_there_stays_and_its_problem_is_looked_for_again()
    {
        var uplink = new Uplink(0, new NodeLink(7, "eth0", ""), default) { Problem = "refused", Retry = new Retry(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1), TimeProvider.System), IsLogged = true };

        uplink.BeginSession();

        Assert.Equal((null, null, null, false), (uplink.LeftAt, uplink.Problem, uplink.Retry, uplink.IsLogged));
    }

    [Theory]
    [InlineData("eth0", 1, "eth0", 1, true)]
    [InlineData("eth0", 1, "eth0", 2, false)]
    [InlineData("eth0", 0, "eth0", 2, true)]
    [InlineData("eth0", 1, "eth0", 0, true)]
    [InlineData("eth0", 1, "eth1", 1, false)]
    public void An_interface_is_known_by_its_name_and_permanent_address(string name, ulong address, string link, ulong linkAddress, bool isSame) =>
        Assert.Equal(isSame, Uplink.IsSame(new(name, address), new NodeLink(9, link, "") { PermanentAddress = linkAddress }));

    [Theory]
    [InlineData("eth0")]
    [InlineData("a-name-of-15-ch")]
    [InlineData("")]
    public void A_name_is_read_as_it_was_written(string name) => Assert.Equal((name, 5ul), (new UplinkIdentity(name, 5).Text, new UplinkIdentity(name, 5).PermanentAddress));
}
