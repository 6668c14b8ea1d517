using Exporter.Signals.Flows;

namespace Exporter.Tests;

/// <summary>The time of packets, by the kernel's ticks.</summary>
public sealed class FlowClockTests
{
    private static readonly DateTimeOffset ReadAt = new(2026, 11, 28, 10, 5, 10, TimeSpan.Zero);

    [Theory]
    [InlineData(100, 1000u, 0)]
    [InlineData(100, 900u, -1000)]
    [InlineData(250, 999u, -4)]
    [InlineData(1000, 0u, -1000)]
    public void A_stamp_is_as_long_ago_as_its_ticks(int rate, uint stamp, int milliseconds) =>
        Assert.Equal(ReadAt + TimeSpan.FromMilliseconds(milliseconds), new FlowClock(ReadAt, Ticks: 1000, rate).TimeOf(stamp));

    /// <summary>Five minutes after the boot, and then every 49 days or more.</summary>
    [Fact]
    public void A_stamp_from_before_the_wrap_is_before_the_reading() =>
        Assert.Equal(ReadAt - TimeSpan.FromSeconds(2), new FlowClock(ReadAt, Ticks: 100, Rate: 100).TimeOf(uint.MaxValue - 99));

    [Fact]
    public void A_stamp_of_half_a_wrap_ago_is_before_the_reading() =>
        Assert.Equal(ReadAt - TimeSpan.FromMilliseconds(1u << 31), new FlowClock(ReadAt, Ticks: 5, Rate: 1000).TimeOf(unchecked(5 - (1u << 31))));

    [Fact]
    public void No_stamp_is_from_before_the_boot() =>
        Assert.Equal(DateTimeOffset.MinValue, new FlowClock(DateTimeOffset.MinValue.AddSeconds(10), Ticks: 1000, Rate: 100).TimeOf(1001));
}
