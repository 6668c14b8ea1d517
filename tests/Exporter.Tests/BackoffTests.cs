using Exporter.Health;

namespace Exporter.Tests;

public sealed class BackoffTests
{
    private readonly Backoff _backoff = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10));

    [Fact]
    public void Pauses_double_up_to_the_longest() => Assert.Equal([1, 2, 4, 8, 10, 10, 10], Take(7));

    [Fact]
    public void After_a_reset_they_begin_again()
    {
        Take(5);
        _backoff.Reset();
        Assert.Equal([1, 2], Take(2));
    }

    [Fact]
    public void A_reset_before_the_first_changes_nothing()
    {
        _backoff.Reset();
        Assert.Equal([1, 2], Take(2));
    }

    [Fact]
    public void They_stay_the_longest_however_often_they_are_taken() => Assert.Equal(10, Take(10_000)[^1]);

    private double[] Take(int count) => [.. Enumerable.Range(0, count).Select(_ => _backoff.Next().TotalSeconds)];
}
