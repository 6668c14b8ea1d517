using System.Text;
using Exporter.Accounts;
using Exporter.Exposition;
using Exporter.Metrics;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The text that scrapes get of the pods.</summary>
public sealed class PodsExpositionTests : IDisposable
{
    private static readonly PodName Other = new("shop", "data\"base\\");

    private readonly CountingNode _node = new(("Handshake:Buckets", "0.00005;1"), ("Metrics:Segments", "off"));
    private readonly PodsExposition _exposition;

    public PodsExpositionTests() => _exposition = new(_node.Pods);

    public void Dispose() => _node.Dispose();

    [Fact]
    public void It_is_the_text_format()
    {
        CountSome();

        Assert.Equal(
            """
            # HELP podnet_transmit_bytes_total Bytes sent by the pod, Ethernet headers included, as its interface counts them.
            # TYPE podnet_transmit_bytes_total counter
            podnet_transmit_bytes_total{namespace="shop",pod="web",transport="tcp"} 18446744073709551615
            podnet_transmit_bytes_total{namespace="shop",pod="web",transport="udp"} 0
            podnet_transmit_bytes_total{namespace="shop",pod="data\"base\\",transport="icmp"} 0
            # HELP podnet_receive_bytes_total Bytes delivered to the pod, Ethernet headers included, as its interface counts them.
            # TYPE podnet_receive_bytes_total counter
            podnet_receive_bytes_total{namespace="shop",pod="web",transport="tcp"} 0
            podnet_receive_bytes_total{namespace="shop",pod="web",transport="udp"} 70
            podnet_receive_bytes_total{namespace="shop",pod="data\"base\\",transport="icmp"} 5
            # HELP podnet_transmit_packets_total Packets sent by the pod as its interface counts them: one may stand for many on the wire.
            # TYPE podnet_transmit_packets_total counter
            podnet_transmit_packets_total{namespace="shop",pod="web",transport="tcp"} 3
            podnet_transmit_packets_total{namespace="shop",pod="web",transport="udp"} 0
            podnet_transmit_packets_total{namespace="shop",pod="data\"base\\",transport="icmp"} 0
            # HELP podnet_receive_packets_total Packets delivered to the pod as its interface counts them: one may stand for many on the wire.
            # TYPE podnet_receive_packets_total counter
            podnet_receive_packets_total{namespace="shop",pod="web",transport="tcp"} 0
            podnet_receive_packets_total{namespace="shop",pod="web",transport="udp"} 1
            podnet_receive_packets_total{namespace="shop",pod="data\"base\\",transport="icmp"} 1

            """,
            Families("bytes", "packets"));
        Assert.Equal(
            """
            # HELP podnet_tcp_handshake_duration_seconds Durations of the pod's completed TCP handshakes, including retransmissions: the client's from its SYN to the SYN-ACK, the server's from its SYN-ACK to the ACK.
            # TYPE podnet_tcp_handshake_duration_seconds histogram
            podnet_tcp_handshake_duration_seconds_bucket{namespace="shop",pod="web",role="client",le="5e-05"} 2
            podnet_tcp_handshake_duration_seconds_bucket{namespace="shop",pod="web",role="client",le="1"} 2
            podnet_tcp_handshake_duration_seconds_bucket{namespace="shop",pod="web",role="client",le="+Inf"} 3
            podnet_tcp_handshake_duration_seconds_sum{namespace="shop",pod="web",role="client"} 2.00005001
            podnet_tcp_handshake_duration_seconds_count{namespace="shop",pod="web",role="client"} 3

            """,
            Families("duration"));
    }

    [Fact]
    public void Or_OpenMetrics()
    {
        CountSome();

        var text = Read(ExpositionFormat.OpenMetrics);

        Assert.Contains("# TYPE podnet_transmit_bytes counter\npodnet_transmit_bytes_total{namespace=\"shop\",pod=\"web\",transport=\"tcp\"} 18446744073709551615\n", text, StringComparison.Ordinal);
        Assert.Contains(",role=\"client\",le=\"5e-05\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains(",role=\"client\",le=\"1.0\"} 2\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("# EOF", text, StringComparison.Ordinal);
    }

    [Fact]
    public void It_is_written_once_for_each_drain_and_format()
    {
        CountSome();
        using var first = _exposition.Acquire(ExpositionFormat.Text);
        _node.Count(7, Counted.Sent(1, 0));

        using var second = _exposition.Acquire(ExpositionFormat.Text);
        using var other = _exposition.Acquire(ExpositionFormat.OpenMetrics);

        Assert.Same(first, second);
        Assert.NotSame(first, other);
        _node.Pods.Settle();
        using var next = _exposition.Acquire(ExpositionFormat.Text);
        Assert.Contains(",transport=\"tcp\"} 4\n", Encoding.UTF8.GetString(next.Text.Span), StringComparison.Ordinal);
        Assert.Contains(",transport=\"tcp\"} 3\n", Encoding.UTF8.GetString(first.Text.Span), StringComparison.Ordinal);
    }

    /// <summary>As over a change of options: what other accounts make of the records is not shown as this one's.</summary>
    [Fact]
    public void After_the_last_drain_it_stays_while_other_accounts_take_the_records()
    {
        _node.Join(7, CountingNode.Web);
        _node.Join(8, CountingNode.Database);
        _node.Count(7, Counted.Sent(3, 300, 3));
        _node.Count(8, Counted.Sent(5, 5_000_000, 5));
        _node.Pods.Settle();
        _exposition.Freeze();
        var (before, zipped) = (Read(ExpositionFormat.Text), Read(ExpositionFormat.OpenMetrics));

        _node.Ledger.Restart();
        var options = TestOptions.Read(("Metrics:Handshakes", "off"));
        var metrics = new AccountMetrics(new OwnMetrics().Factory, _node.Ledger, EverySignal.Totals);
        _ = new PodAccounts(metrics, _node.Time, options.CreateLabels(), options.Metrics, options.CreatePlan(), _node.Ledger, new RecordingLogger<PodAccounts>());

        Assert.Equal((before, zipped), (Read(ExpositionFormat.Text), Read(ExpositionFormat.OpenMetrics)));
        Assert.Contains("podnet_transmit_bytes_total{namespace=\"shop\",pod=\"web\",transport=\"tcp\"} 300\n", before, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pod_that_leaves_while_a_scrape_is_written_is_in_its_series_or_in_the_total_of_retired_ones()
    {
        CountSome();
        using var text = _exposition.Acquire(ExpositionFormat.Text);
        _node.Leave(7);
        _node.Time.Advance(_node.Options.Metrics.Retention + TimeSpan.FromSeconds(1));
        _node.Pods.Settle();

        var scrape = ScrapedText.Parse(Encoding.UTF8.GetString(text.Text.Span) + await ScrapedText.WriteAsync(_node.Registry));
        Assert.Equal(3, scrape.Of("podnet_transmit_packets_total", CountingNode.Web, "tcp"));
        Assert.Equal(0, scrape["podnet_exporter_retired_packets_total{direction=\"transmit\"}"]);
        var next = ScrapedText.Parse(Read(ExpositionFormat.Text) + await ScrapedText.WriteAsync(_node.Registry));
        Assert.False(next.Has("podnet_transmit_packets_total", CountingNode.Web, "tcp"));
        Assert.Equal(3, next["podnet_exporter_retired_packets_total{direction=\"transmit\"}"]);
    }

    [Fact]
    public void A_text_that_nothing_reads_is_written_over()
    {
        CountSome();
        PodsExposition.Snapshot first;
        using (first = _exposition.Acquire(ExpositionFormat.Text))
        {
            _node.Pods.Settle();
        }

        using var second = _exposition.Acquire(ExpositionFormat.Text);

        Assert.Same(first, second);
    }

    [Fact]
    public async Task The_reader_of_the_oldest_text_is_cut_off_when_too_many_are_read()
    {
        CountSome();
        var read = new List<PodsExposition.Snapshot>();
        for (var i = 0; i < PodsExposition.MaxTexts; i++)
        {
            read.Add(_exposition.Acquire(ExpositionFormat.Text));
            _node.Pods.Settle();
        }
        Assert.DoesNotContain(read, snapshot => snapshot.IsCutOff.IsCancellationRequested);
        var before = read[0].Text.ToArray();
        var cutOff = new TaskCompletionSource();
        await using var registration = read[0].IsCutOff.Register(cutOff.SetResult);

        _node.Count(7, Counted.Sent(1, 0));
        _node.Pods.Settle();
        using var next = _exposition.Acquire(ExpositionFormat.Text);

        await cutOff.Task.WaitAsync(Silence.Limit);
        Assert.DoesNotContain(read[1..], snapshot => snapshot.IsCutOff.IsCancellationRequested);
        // What it is still reading stays as it was.
        Assert.Equal(before, read[0].Text.ToArray());
        Assert.NotEqual(before, next.Text.ToArray());
        read.ForEach(snapshot => snapshot.Dispose());
    }

    [Fact]
    public void Writing_lines_allocates_nothing()
    {
        CountSome();
        var least = long.MaxValue;
        for (var round = 0; round < 50; round++)
        {
            _node.Pods.Settle();
            var before = GC.GetAllocatedBytesForCurrentThread();
            _exposition.Acquire(ExpositionFormat.Text).Dispose();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        var few = least;
        for (var i = 100; i < 200; i++)
        {
            _node.Join((ulong)i, new("shop", $"web-{i}"));
            _node.CountEverything(i);
        }

        least = long.MaxValue;
        for (var round = 0; round < 50; round++)
        {
            _node.Pods.Settle();
            var before = GC.GetAllocatedBytesForCurrentThread();
            _exposition.Acquire(ExpositionFormat.Text).Dispose();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        // A reference for each account, and nothing for its lines.
        Assert.InRange(least, 0, few + (100 * 4 * sizeof(long)));
    }

    private void CountSome()
    {
        _node.Join(7, CountingNode.Web);
        _node.Join(8, Other);
        _node.Count(7, Counted.Both(Counted.Sent(3, ulong.MaxValue), Counted.Delivered(1, 70, transport: Transport.Udp)));
        _node.Count(8, Counted.Delivered(1, 5, transport: Transport.Icmp));
        _node.Count(7ul, Counted.Handshakes(Counted.Completed([50_000, 1_000_000_000], 10, 50_000, 2_000_000_000)));
    }

    private string Read(ExpositionFormat format)
    {
        using var snapshot = _exposition.Acquire(format);
        return Encoding.UTF8.GetString(snapshot.Text.Span);
    }

    private string Families(params string[] parts) =>
        string.Concat(Read(ExpositionFormat.Text).Split('\n')
            .Where(line => parts.Any(part => line.Contains($"_{part}_", StringComparison.Ordinal)) && !line.Contains("packet_size", StringComparison.Ordinal) && !line.Contains("podnet_exporter_", StringComparison.Ordinal))
            .Select(line => line + "\n"));
}
