using CsCheck;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Handshakes that were counted by other bounds than those that they are shown by.</summary>
public sealed class RegroupTests
{
    private static readonly Gen<ulong[]> Bounds = Gen.ULong[1, 1000].Array[1, 31].Select(drawn => drawn.Distinct().Order().ToArray());

    [Fact]
    public void Numbers_and_sums_stay_and_each_range_is_where_its_mean_belongs() =>
        (from bounds in Gen.Select(Bounds, Bounds) from durations in Gen.ULong[1, 1200].Array[0, 100] select (bounds.Item1, bounds.Item2, durations)).Sample(drawn =>
        {
            var (from, to, durations) = drawn;
            var counted = Counted.Completed(from, durations);

            var regrouped = Counted.Handshakes(counted, counted).WithBounds(to);

            foreach (var role in (HandshakeRole[])[regrouped.Client, regrouped.Server])
            {
                Assert.Equal(durations.Length, (int)role.Total);
                Assert.Equal(durations.Sum(duration => (long)duration), Ranges(role).Sum(range => (long)range.Nanoseconds));
                Assert.Equal(
                    Ranges(counted).Where(range => range.Handshakes > 0)
                        .GroupBy(range => to.Count(bound => bound < range.Nanoseconds / range.Handshakes))
                        .OrderBy(group => group.Key)
                        .Select(group => (group.Key, group.Sum(range => (long)range.Handshakes))),
                    Ranges(role).Select((range, index) => (index, (long)range.Handshakes)).Where(range => range.Item2 > 0));
            }
        });

    [Fact]
    public void By_the_same_bounds_nothing_changes() =>
        (from bounds in Bounds from durations in Gen.ULong[1, 1200].Array[0, 100] select (bounds, durations)).Sample(drawn =>
        {
            var counted = Counted.Completed(drawn.bounds, drawn.durations);

            Assert.Equal(Ranges(counted), Ranges(Counted.Handshakes(counted).WithBounds(drawn.bounds).Client));
            Assert.Equal(Ranges(counted), Ranges(Counted.Handshakes(server: counted).WithBounds(drawn.bounds).Server));
        });

    [Fact]
    public void Failures_and_retransmits_stay()
    {
        var role = Counted.Both(Counted.Resent(3), Counted.Both(Counted.Failed(HandshakeFailure.Reset, 2), Counted.Failed(HandshakeFailure.Other, 5)));

        var regrouped = Counted.Handshakes(role, Counted.Resent(9)).WithBounds([2, 3]);

        Assert.Equal((2ul, 5ul, 3ul, 7ul), (regrouped.Client.Failures[(int)HandshakeFailure.Reset], regrouped.Client.Failures[(int)HandshakeFailure.Other], regrouped.Client.Retransmits, regrouped.Client.Total));
        Assert.Equal((9ul, 0ul), (regrouped.Server.Retransmits, regrouped.Server.Total));
    }

    private static HandshakeDuration[] Ranges(HandshakeRole role) => ((ReadOnlySpan<HandshakeDuration>)role.Durations).ToArray();
}
