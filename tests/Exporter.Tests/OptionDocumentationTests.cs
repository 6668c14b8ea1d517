using Exporter.Commands;
using Exporter.Options;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The help and docs/options.md have the options that the program reads, and no others.</summary>
public sealed class OptionDocumentationTests
{
    private static readonly Lazy<IReadOnlyList<OptionDescription>> Described = new(() =>
    {
        var reader = TestOptions.Reader();
        ExporterOptions.Read(reader);
        return reader.Options;
    });

    public static TheoryData<string> Keys => [.. Described.Value.Select(option => option.Key)];

    [Theory]
    [MemberData(nameof(Keys))]
    public void The_help_has_an_option_with_its_default_description_and_values(string key)
    {
        var option = Described.Value.Single(described => described.Key == key);

        var lines = HelpText.Write(Described.Value).Split('\n', StringSplitOptions.TrimEntries);

        var line = Array.IndexOf(lines, $"--{option.Key}={option.Default}");
        Assert.NotEqual(-1, line);
        Assert.Equal($"{option.Description} ({option.Values})", lines[line + 1]);
    }

    [Fact]
    public void The_help_names_every_command()
    {
        var help = HelpText.Write([]);

        Assert.All(["[run]", "check", "metrics", "help", "version"], command => Assert.Contains($"podnet-exporter {command} ", help, StringComparison.Ordinal));
    }

    [Fact]
    public void No_option_is_described_twice() => Assert.Distinct(Described.Value.Select(option => option.Key), StringComparer.OrdinalIgnoreCase);

    [Theory]
    [MemberData(nameof(Keys))]
    public void The_documentation_has_an_option_with_its_default(string key)
    {
        var row = Assert.Single(DocumentedRows(), row => row[0] == key);

        Assert.Equal(Described.Value.Single(option => option.Key == key).Default, row[1]);
    }

    [Fact]
    public void The_documentation_has_no_option_that_does_not_exist() =>
        Assert.Empty(DocumentedRows().Select(row => row[0]).Except(Described.Value.Select(option => option.Key)));

    /// <summary>The tables' rows that begin with a key in code type, as cells without its marks.</summary>
    private static List<string[]> DocumentedRows() =>
        [.. File.ReadLines(Path.Combine(Repository.Root, "docs", "options.md"))
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => line.Trim().Trim('|').Split('|').Select(cell => cell.Trim().Trim('`')).ToArray())
            .Where(cells => cells[0].Contains(':', StringComparison.Ordinal))];
}
