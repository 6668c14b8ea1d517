using Exporter.Health;

namespace Exporter.Tests;

public sealed class TroubleTests
{
    private readonly Trouble _trouble = new();

    [Fact]
    public void It_begins_and_ends_once_however_often_it_is_noted()
    {
        Assert.False(_trouble.Ends());
        Assert.Equal((true, false, true), (_trouble.Begins(), _trouble.Begins(), _trouble.IsThere));
        Assert.Equal((true, false, false), (_trouble.Ends(), _trouble.Ends(), _trouble.IsThere));
        Assert.True(_trouble.Begins());
    }
}
