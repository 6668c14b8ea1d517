using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>rtnetlink's answers about traffic control, against what `tc` says of the same.</summary>
public sealed class TcClientTests : IDisposable
{
    private readonly TcClient _client = new();

    public void Dispose() => _client.Dispose();

    [Fact]
    public void A_qdisc_that_the_kernel_does_not_have_is_known_and_none_is_made_to_find_out()
    {
        Assert.Equal((true, true, false), (_client.HasQdisc("clsact"), _client.HasQdisc("ingress"), _client.HasQdisc("pntnone")));
        Assert.DoesNotContain("ffff:", Shell.Run("tc", "qdisc", "show", "dev", "lo"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("clsact")]
    [InlineData("ingress")]
    [InlineData("")]
    public void The_classifier_is_asked_for_and_the_loopback_interface_has_the_qdisc_that_it_had(string qdisc)
    {
        if (qdisc.Length > 0)
        {
            Shell.Run("tc", "qdisc", "add", "dev", "lo", qdisc);
        }
        try
        {
            var before = Shell.Run("tc", "qdisc", "show", "dev", "lo");

            Assert.True(_client.HasBpfClassifier());

            Assert.Equal(before, Shell.Run("tc", "qdisc", "show", "dev", "lo"));
            Assert.Equal("", Shell.Run("tc", "filter", "show", "dev", "lo", "parent", "ffff:"));
        }
        finally
        {
            Shell.TryRun("tc", "qdisc", "delete", "dev", "lo", "parent", "ffff:fff1");
        }
    }
}
