using Exporter.Pods;

namespace Exporter.Tests;

public sealed class PodInterfaceTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public void A_clock_that_is_set_makes_an_interface_neither_older_nor_younger(int hours)
    {
        var (seenAt, boot) = (DateTimeOffset.UnixEpoch.AddDays(1), DateTimeOffset.MinValue.AddDays(7));
        var owner = new PodInterface(new(3, "veth3", "veth", 0, 2, 1), 1, seenAt);
        Assert.Equal(boot, owner.SeenAtBySteadyClock(seenAt.AddSeconds(10), boot.AddSeconds(10)));

        Assert.Equal(boot, owner.SeenAtBySteadyClock(seenAt.AddHours(hours).AddSeconds(20), boot.AddSeconds(20)));
    }

    [Theory]
    [InlineData(400, 0)]
    [InlineData(-1, 7 * 24)]
    public void A_clock_that_was_set_before_is_asked_for_no_time_before_the_boot_and_none_that_is_to_come(int hours, int expected)
    {
        var (seenAt, boot) = (DateTimeOffset.UnixEpoch.AddDays(1), DateTimeOffset.MinValue);
        var owner = new PodInterface(new(3, "veth3", "veth", 0, 2, 1), 1, seenAt);

        Assert.Equal(boot.AddHours(expected), owner.SeenAtBySteadyClock(seenAt.AddHours(hours), boot.AddDays(7)));
    }
}
