using Exporter.Bpf.Attach;

namespace Exporter.Tests;

public sealed class FilterNameTests
{
    [Theory]
    [InlineData("podnet_transmit [42] unpinned", "podnet_transmit", 42, "unpinned", "podnet_transmit [42]")]
    [InlineData("podnet_receive [7] pinned /sys/fs/bpf/a b", "podnet_receive", 7, "pinned /sys/fs/bpf/a b", "podnet_receive [7]")]
    [InlineData("podnet_transmit:[42]", "podnet_transmit", 42, null, "podnet_transmit:[42]")]
    public void A_name_says_the_program_and_its_owner(string text, string program, int id, string? owner, string claim)
    {
        var name = FilterName.TryParse(text);

        Assert.Equal(new FilterName(program, id, owner), name);
        Assert.Equal(text, name!.Text);
        Assert.Equal(claim, name.Claim);
    }

    [Theory]
    [InlineData("")]
    [InlineData("bpf.o:[podnet_transmit]")]
    [InlineData("podnet_transmit")]
    [InlineData("podnet_transmit_2 [42] unpinned")]
    [InlineData("podnet_transmit [42]")]
    [InlineData("podnet_transmit [42]unpinned")]
    [InlineData("podnet_transmit [-1] unpinned")]
    [InlineData("podnet_transmit [99999999999] unpinned")]
    [InlineData("podnet_transmit:[42] unpinned")]
    [InlineData("podnet_transmit:[]")]
    public void A_name_that_no_exporter_gives_is_not_ours(string text) => Assert.Null(FilterName.TryParse(text));
}
