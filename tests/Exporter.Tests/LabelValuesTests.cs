using System.Text;
using CsCheck;
using Exporter.Pods;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Names and labels that somebody chose to do harm.</summary>
public sealed class LabelValuesTests
{
    private const int MaxLength = 253;

    [Theory]
    [InlineData("web-7f9c-x2x4z")]
    [InlineData("")]
    [InlineData("_web")]
    [InlineData("web__")]
    [InlineData("caf\u00e9 \U0001F980 \u65e5\u672c")]
    [InlineData("\"quoted\" \\n {a=\"b\"} 1 # HELP")]
    public void What_does_no_harm_stays_as_it_is(string value) => Assert.Equal(value, MakeSafe(value));

    [Fact]
    public void The_longest_name_of_a_pod_stays_as_it_is() => Assert.Equal(new string('a', MaxLength), MakeSafe(new('a', MaxLength)));

    [Theory]
    [InlineData("__other__", "___other__")]
    [InlineData("__host__", "___host__")]
    [InlineData("___other__", "____other__")]
    [InlineData("__", "___")]
    public void A_value_with_a_meaning_of_its_own_cannot_be_forged(string value, string shown) => Assert.Equal(shown, MakeSafe(value));

    [Theory]
    [InlineData("web\n", "web_~")]
    [InlineData("a\r\nb\0\t\u0085", "a__b___~")]
    public void What_breaks_a_line_is_replaced(string value, string beginning)
    {
        var shown = MakeSafe(value);

        Assert.Equal(beginning.Length + 16, shown.Length);
        Assert.StartsWith(beginning, shown, StringComparison.Ordinal);
    }

    [Fact]
    public void Half_a_character_is_replaced() => Assert.StartsWith("half _~", MakeSafe("half \ud83e"), StringComparison.Ordinal);

    [Fact]
    public void A_value_is_cut_between_characters_and_differs_from_another_with_the_same_beginning()
    {
        var crabs = string.Concat(Enumerable.Repeat("\U0001F980", 200));

        Assert.NotEqual(MakeSafe(crabs), MakeSafe(crabs + "!"));
        Assert.InRange(MakeSafe(crabs).Length, MaxLength - 1, MaxLength);
        Assert.StartsWith("\U0001F980\U0001F980~", MakeSafe(crabs)[^21..], StringComparison.Ordinal);
    }

    [Fact]
    public void Any_value_comes_out_bounded_well_formed_unreserved_and_told_from_others() =>
        Gen.Select(Hostile, Hostile).Sample((one, other) =>
        {
            var shown = MakeSafe(one);
            Assert.InRange(shown.Length, 0, MaxLength);
            Assert.DoesNotContain(shown, char.IsControl);
            Assert.Equal(shown, Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(shown)));
            Assert.NotEqual("__other__", shown);
            Assert.NotEqual("__host__", shown);
            Assert.Equal(one == other, shown == MakeSafe(other));
        });

    /// <summary>What is written can be read back by a parser that knows nothing but the format.</summary>
    [Fact]
    public Task Any_names_and_labels_leave_the_exposition_whole() =>
        Gen.Select(Hostile, Hostile, Hostile).SampleAsync(
            async drawn =>
            {
                var (ns, name, label) = drawn;
                using var node = new CountingNode(("Metrics:PodLabels", "namespace;pod;label:a"));
                var pod = node.Labels.Identify(new(ns, name) { Labels = new Dictionary<string, string> { ["a"] = label } });
                node.Pods.Acquire(pod).Add(Counted.Sent(1, 100, 1, Transport.Udp));

                var scrape = await node.ScrapeAsync();

                var found = Assert.Single(scrape.Samples, sample => sample.StartsWith("podnet_transmit_bytes_total{", StringComparison.Ordinal));
                Assert.Equal([.. pod.Labels.Values, "udp"], ScrapedText.LabelValuesOf(found));
                Assert.Equal(scrape.CountPodSamples(), node.Pods.Lines);
            },
            iter: 200);

    private static Gen<string> Hostile => Gen.OneOf(
        Gen.String[0, 40],
        Gen.Char["\"\\\n\r{}=,# \u2028_a"].Array[0, 30].Select(characters => new string(characters)),
        Gen.Char["_othersh"].Array[6, 11].Select(characters => new string(characters)),
        Gen.Int[240, 270].Select(length => new string('x', length)),
        Gen.Char.Array[0, 300].Select(characters => new string(characters)),
        Gen.Int[0, 3].Select(i => ((string[])["__other__", "__host__", "___other__", "\ud800\udc00\ud800"])[i]));

    private static string MakeSafe(string value) => new LabelValues(value).MakeSafe().Values[0];
}
