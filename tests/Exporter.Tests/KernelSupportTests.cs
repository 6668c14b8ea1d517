using Exporter.Bpf;

namespace Exporter.Tests;

/// <summary>What a kernel's version says.</summary>
public sealed class KernelSupportTests
{
    [Theory]
    [InlineData("6.18.0-rt5", "1\n", true)]
    [InlineData("6.18-rc1-rt1", "1\n", true)]
    [InlineData("7.0.3+deb14-rt-amd64", "1\n", true)]
    [InlineData("10.1.0", "1\n", true)]
    [InlineData("6.18.0", "0\n", false)]
    [InlineData("6.12.95+deb13-rt-amd64", "1\n", false)]
    [InlineData("5.10.0-rt", "1\n", false)]
    [InlineData("unheard-of", "1\n", false)]
    public void Counts_may_be_lost_with_PREEMPT_RT_since_6_18(string release, string realtime, bool mayLose) =>
        Assert.Equal(mayLose, KernelSupport.MayLoseCountsWith(release, realtime));
}
