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

        Assert.All(["[run]", "check", "metrics", "options", "flows", "flows verify", "flows schema", "uninstall", "help", "version"], command => Assert.Contains($"podnet-exporter {command} ", help, StringComparison.Ordinal));
    }

    [Fact]
    public void No_option_is_described_twice() => Assert.Distinct(Described.Value.Select(option => option.Key), StringComparer.OrdinalIgnoreCase);

    [Fact]
    public void The_documentation_ends_with_what_the_program_prints()
    {
        var text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "options.md"));

        var generated = text[text.LastIndexOf("| option |", StringComparison.Ordinal)..];

        Assert.True(OptionsText.Write(Described.Value) + "\n" == generated, "docs/options.md is out of date: run 'make docs'");
    }
}
