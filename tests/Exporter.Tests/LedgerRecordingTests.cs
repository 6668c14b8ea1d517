using System.IO.Compression;
using System.Text;
using Exporter.Interfaces;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>
/// Ledgers that the program of earlier commits has left in the kernel, when it was killed, and what it had shown before that. Three pods had datagrams,
/// connections both ways and refused ones; an interface was nobody's.
/// </summary>
public sealed class LedgerRecordingTests
{
    private static readonly string Root = Path.Combine(Repository.Root, "tests/Exporter.Tests/Recordings");

    public static TheoryData<string, string?> Recordings => new()
    {
        // fdf9558, the first: 16 kept maps, and keys of groups without totals.
        { "first", null },
        { "first-levels", "namespace" },
        // 4dd1f89: as the first, and keys have totals.
        { "totals-in-keys", null },
        // 48ae05c: 240 kept maps, and the format of keys has a number.
        { "numbered-keys", null },
        // 17020e3: one more counter, and keys of interfaces say more.
        { "half-open", null },
        // 4550605: tables of keys and of rows, whose keys have a bit for each signal.
        { "tables", null },
    };

    [Theory]
    [MemberData(nameof(Recordings))]
    public async Task No_counter_goes_back_when_a_ledger_of_an_earlier_commit_is_taken_over(string recording, string? aggregation)
    {
        (string, string?)[] settings = aggregation is null ? [] : [("Metrics:Aggregation", aggregation), ("Metrics:Handshakes", "pod")];
        var before = ScrapedText.Parse(Encoding.UTF8.GetString(Read($"{recording}.metrics")));
        using var first = new CountingNode(null, settings, KeptMemory.Read(Read($"{recording}.ledger")));
        AssertGoesOn(before, await first.ScrapeAsync());
        var interfaces = new InterfaceRecords(first.Ledger, first.Labels).Restore();
        Assert.Equal(["kube-system-dns", "shop-database", "shop-web"], interfaces.Select(owner => owner.Pod?.Name).OfType<string>().Order());

        // It is killed, and starts again.
        using var second = first.StartAgain(settings);
        AssertGoesOn(before, await second.ScrapeAsync());
        Assert.Equal(0, second.Ledger.Unpinned);
    }

    /// <summary>All that was counted is there, and nothing of it twice. What is lost is counted by the kernel, which is not recorded.</summary>
    private static void AssertGoesOn(ScrapedText before, ScrapedText after)
    {
        Assert.Contains(before.Samples, sample => sample.StartsWith("podnet_transmit_packets_total", StringComparison.Ordinal) && before[sample] > 0);
        Assert.All(
            before.Samples.Where(sample => !sample.StartsWith("podnet_exporter_lost_", StringComparison.Ordinal)),
            sample =>
            {
                var was = before[sample];
                // A sum of seconds is larger by what may have been rounded.
                Assert.InRange(after[sample], was, (was * (1 + 1e-9)) + 2e-9);
            });
        Assert.True(before.Samples.Where(sample => sample.Contains("_duration_seconds_count", StringComparison.Ordinal)).Sum(sample => before[sample]) > 50);
    }

    private static byte[] Read(string name)
    {
        using var file = new GZipStream(File.OpenRead(Path.Combine(Root, $"{name}.gz")), CompressionMode.Decompress);
        using var content = new MemoryStream();
        file.CopyTo(content);
        return content.ToArray();
    }
}
