using Exporter.Pods;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>What pods send and receive that are left out, or shown otherwise from some moment on.</summary>
public sealed class ExcludedTrafficTests : IDisposable
{
    private const ulong Network = 7;

    private static readonly PodName Hidden = new("kube-system", "proxy");

    private readonly CountingNode _node = new(
        ("Metrics:PodLabels", "namespace;pod;label:tier"), ("Metrics:ExcludedNamespaces", "kube-system"), ("Metrics:Retention", "00:02:00"), ("Identity:HoldFor", "00:00:30"));

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task The_totals_are_there_at_zero_from_the_start()
    {
        var scrape = await _node.ScrapeAsync();

        Assert.Equal((0, 0), (Packets(scrape, "transmit"), Packets(scrape, "receive")));
        Assert.Equal((0, 0), (Bytes(scrape, "transmit"), Bytes(scrape, "receive")));
        Assert.Equal((0, 0), (Handshakes(scrape, "client"), Handshakes(scrape, "server")));
    }

    [Fact]
    public async Task A_pod_that_is_left_out_has_no_series_and_is_in_the_totals()
    {
        _node.Join(Network, Hidden);
        _node.Join(8, Hidden with { Name = "dns" });
        _node.Join(9, CountingNode.Web);

        _node.Source.Put(7, Counted.Both(Counted.Sent(3, 400, 5, Transport.Udp), Counted.Delivered(7, 800, 9)));
        _node.Source.Put(8, Counted.Both(Counted.Sent(1, 60, 1), Counted.Sent(10, 1000, 10, Transport.Other)));
        _node.Source.Put(9, Counted.Sent(1, 77, 1));
        _node.Traffic.Drain();
        _node.HandshakeSource.Put(Network, Counted.Handshakes(Counted.Both(Completed(3), Counted.Failed(HandshakeFailure.Refused, 2)), Counted.Resent(9)));
        _node.HandshakeSource.Put(8, Counted.Handshakes(server: Counted.Failed(HandshakeFailure.TimedOut)));
        _node.Handshakes.Drain();

        var scrape = await _node.ScrapeAsync();
        Assert.DoesNotContain(scrape.Samples, sample => sample.Contains("kube-system", StringComparison.Ordinal));
        Assert.Equal((14, 7), (Packets(scrape, "transmit"), Packets(scrape, "receive")));
        Assert.Equal((1460, 800), (Bytes(scrape, "transmit"), Bytes(scrape, "receive")));
        Assert.Equal((5, 1), (Handshakes(scrape, "client"), Handshakes(scrape, "server")));
        Assert.Equal(77, scrape[Sent("shop", "web", "")]);
        Assert.Equal(0, scrape["podnet_exporter_unattributed_packets_total{direction=\"transmit\"}"]);
        Assert.Equal(scrape.CountPodSamples(), _node.Pods.Lines);
    }

    [Fact]
    public async Task What_was_held_of_a_pod_that_turns_out_to_be_left_out_is_in_the_totals()
    {
        _node.Appear(7, 1);
        _node.Count(7, Counted.Sent(3, 400));
        Assert.Equal(0, Packets(await _node.ScrapeAsync(), "transmit"));

        _node.Identify(7, Hidden);
        _node.Traffic.Drain();

        Assert.Equal(3, Packets(await _node.ScrapeAsync(), "transmit"));
        Assert.Equal(0, (await _node.ScrapeAsync()).CountPodSamples());
    }

    [Fact]
    public async Task Totals_stay_when_the_pods_are_gone()
    {
        _node.Appear(7, 1, Hidden);
        _node.Count(7, Counted.Sent(3, 400));

        _node.Forget(7);
        _node.Time.Advance(TimeSpan.FromHours(1));
        _node.Pods.Settle();

        Assert.Equal(400, Bytes(await _node.ScrapeAsync(), "transmit"));
    }

    [Fact]
    public async Task A_pod_that_is_left_out_from_now_on_keeps_its_series_until_the_retention_and_counts_no_more()
    {
        var owner = _node.Appear(7, 1);
        var before = Show(owner, Pod("front"));
        _node.Count(7, Counted.Sent(1, 100, 1));

        Show(owner, Pod("front") with { IsOptedOut = true });
        _node.Count(7, Counted.Sent(1, 11, 1));
        _node.Pods.Release(before);

        var scrape = await _node.ScrapeAsync();
        Assert.Equal((100, 11), (scrape[Sent("shop", "web", "front")], Bytes(scrape, "transmit")));
        _node.Time.Advance(TimeSpan.FromMinutes(2));
        _node.Pods.Settle();
        scrape = await _node.ScrapeAsync();
        Assert.Equal((0, 11), (scrape.CountPodSamples(), Bytes(scrape, "transmit")));
    }

    [Fact]
    public async Task A_pod_that_is_left_out_no_more_begins_at_zero()
    {
        var owner = _node.Appear(7, 1);
        var before = Show(owner, Pod("front") with { IsOptedOut = true });
        _node.Count(7, Counted.Sent(1, 11, 1));

        Show(owner, Pod("front"));
        _node.Pods.Release(before);
        Assert.DoesNotContain((await _node.ScrapeAsync()).Samples, sample => sample.StartsWith("podnet_transmit", StringComparison.Ordinal));
        _node.Count(7, Counted.Sent(1, 100, 1));

        var scrape = await _node.ScrapeAsync();
        Assert.Equal((100, 11), (scrape[Sent("shop", "web", "front")], Bytes(scrape, "transmit")));
    }

    [Fact]
    public async Task A_pod_that_is_labelled_otherwise_goes_on_in_new_series_and_the_sum_is_exact()
    {
        var owner = _node.Appear(7, 1);
        var before = Show(owner, Pod("front"));
        _node.Count(7, Counted.Sent(1, 100, 1));

        Show(owner, Pod("back"));
        _node.Count(7, Counted.Sent(1, 11, 1));
        _node.Pods.Release(before);
        var scrape = await _node.ScrapeAsync();
        Assert.Equal((100, 11), (scrape[Sent("shop", "web", "front")], scrape[Sent("shop", "web", "back")]));

        _node.Time.Advance(TimeSpan.FromMinutes(2));
        _node.Pods.Settle();
        _node.Count(7, Counted.Sent(1, 5, 1));

        scrape = await _node.ScrapeAsync();
        Assert.False(scrape.Has(Sent("shop", "web", "front")));
        Assert.Equal(16, scrape[Sent("shop", "web", "back")]);
    }

    [Fact]
    public async Task A_pod_that_has_its_former_labels_again_goes_on_where_it_was()
    {
        var owner = _node.Appear(7, 1);
        var first = Show(owner, Pod("front"));
        _node.Count(7, Counted.Sent(1, 100, 1));
        var second = Show(owner, Pod("back"));
        _node.Count(7, Counted.Sent(1, 11, 1));
        _node.Pods.Release(first);
        _node.Time.Advance(TimeSpan.FromMinutes(1));

        Show(owner, Pod("front"));
        _node.Count(7, Counted.Sent(1, 5, 1));
        _node.Pods.Release(second);
        _node.Time.Advance(TimeSpan.FromMinutes(2));
        _node.Pods.Settle();

        var scrape = await _node.ScrapeAsync();
        Assert.Equal(105, scrape[Sent("shop", "web", "front")]);
        Assert.False(scrape.Has(Sent("shop", "web", "back")));
    }

    private static PodDescription Pod(string tier) => new("shop", "web") { Labels = new Dictionary<string, string> { ["tier"] = tier } };

    private static string Sent(string ns, string pod, string tier) =>
        $"podnet_transmit_bytes_total{{namespace=\"{ns}\",pod=\"{pod}\",label_tier=\"{tier}\",transport=\"tcp\"}}";

    private static double Packets(ScrapedText scrape, string direction) => scrape[$"podnet_exporter_excluded_packets_total{{direction=\"{direction}\"}}"];

    private static double Bytes(ScrapedText scrape, string direction) => scrape[$"podnet_exporter_excluded_bytes_total{{direction=\"{direction}\"}}"];

    private static double Handshakes(ScrapedText scrape, string role) => scrape[$"podnet_exporter_excluded_handshakes_total{{role=\"{role}\"}}"];

    private HandshakeRole Completed(int handshakes) => Counted.Completed(_node.Options.Handshake.Buckets, Enumerable.Repeat(1_000ul, handshakes));

    /// <summary>What the reconciler does when a pod is known, or is shown otherwise.</summary>
    private IPodAccount Show(PodInterface owner, PodDescription pod) => owner.Counts = _node.Pods.Acquire(_node.Labels.Identify(pod));
}
