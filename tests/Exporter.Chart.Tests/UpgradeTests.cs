using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Chart.Tests;

/// <summary>Values for an earlier chart, with names of options that are other ones now.</summary>
public sealed class UpgradeTests
{
    /// <summary>The ways in which YAML writes keys.</summary>
    private static readonly string[] EarlierValues =
    [
        """
        image:
          tag: "1"
        options:
          Identity:
            Wait: "00:00:20"
          Handshake: {MaxLate: 1024, Hook: tracepoint}
        liveOptions:
          "Attach":
            "CheckInterval": 00:00:10
          Metrics: {"Sizes": "pod", Segments: "off"}
        """,
        """
        liveOptions: {Identity: {Wait: "00:00:20"}, Handshake: {MaxLate: 1024}, Attach: {CheckInterval: "00:00:10"}, Metrics: {Sizes: pod}}
        """,
    ];

    public static TheoryData<string> Values => [.. EarlierValues];

    [Theory]
    [MemberData(nameof(Values))]
    public void Values_of_an_earlier_chart_are_refused_with_each_new_name_and_taken_after_the_command_of_upgrading_md(string earlier)
    {
        Helm.Require();
        var message = WithFile(earlier, path => Helm.Refuse("--values", path));
        var renamed = UpgradeNotes.RenameOptions(earlier);
        var manifest = WithFile(renamed, path => Helm.RenderFile(path));

        Assert.All(UpgradeNotes.Options, option =>
        {
            Assert.Contains($"/{option.Key.Replace(':', '/')}'", message, StringComparison.Ordinal);
            Assert.Contains($"this option is called {option.Value} now", message, StringComparison.Ordinal);
            Assert.NotNull(Find(manifest, option.Value));
        });
        Assert.Equal(renamed, UpgradeNotes.RenameOptions(renamed));
    }

    [Theory]
    [InlineData("--Identity:Wait=00:00:20", "--Identity:HoldFor=00:00:20")]
    [InlineData("PODNET__Handshake__MaxLate=1024", "PODNET__Handshake__MaxRetransmitting=1024")]
    [InlineData("--set liveOptions.Metrics.Sizes=pod", "--set liveOptions.Metrics.PacketSizes=pod")]
    [InlineData("--Attach:CheckInterval 00:00:10", "--Attach:CoverageInterval 00:00:10")]
    [InlineData("Waiting: 1, SizesOf: 2", "Waiting: 1, SizesOf: 2")]
    public void The_command_of_upgrading_md_renames_options_wherever_they_are_written_and_nothing_else(string earlier, string renamed) =>
        Assert.Equal(renamed, UpgradeNotes.RenameOptions(earlier));

    [Fact]
    public void The_table_of_upgrading_md_has_every_option_with_a_previous_name() =>
        Assert.Equal(
            SchemaTests.ProgramOptions().Where(option => option.Previous is not null).Select(option => (option.Previous!, option.Key)).Order(),
            UpgradeNotes.Options.Select(option => (option.Key, option.Value)).Order());

    /// <summary>The option's value in the environment or in the file that can change.</summary>
    private static string? Find(Manifest manifest, string key) =>
        manifest.Environment.GetValueOrDefault($"PODNET__{key.Replace(":", "__", StringComparison.Ordinal)}")
        ?? JsonNode.Parse((string)manifest["ConfigMap"]["data"]!["options.json"]!)![key.Split(':')[0]]?[key.Split(':')[1]]?.ToString();

    private static T WithFile<T>(string values, Func<string, T> use)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, values);
            return use(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
