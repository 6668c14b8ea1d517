using Exporter.Chart.Tests.Support;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Chart.Tests;

/// <summary>chart/README.md, and the versions in the chart.</summary>
public sealed class ReadmeTests
{
    [Fact]
    public void The_table_of_values_is_what_the_comments_of_the_values_say()
    {
        var written = Shell.Run(Path.Combine(Repository.Root, "scripts", "chart-readme.sh"), "--print");

        Assert.True(written == File.ReadAllText(Path.Combine(Helm.Chart, "README.md")), "chart/README.md is not what scripts/chart-readme.sh writes; run it.");
    }

    [Fact]
    public void Every_value_is_in_the_table()
    {
        // What follows a comment is described as a whole; everything else is a group of values.
        var lines = File.ReadAllLines(Path.Combine(Helm.Chart, "values.yaml"));
        var undescribed = lines.Zip(lines.Prepend("")).Where(pair => !pair.First.TrimStart().StartsWith('#') && pair.First.Contains(": ", StringComparison.Ordinal) && !pair.Second.TrimStart().StartsWith('#'));

        Assert.Empty(undescribed);
    }

    [Fact]
    public void The_chart_s_version_is_the_program_s()
    {
        var version = System.Xml.Linq.XDocument.Load(Path.Combine(Repository.Root, "Directory.Build.props")).Descendants("Version").Single().Value;

        var chart = Assert.Single(Yaml.Parse(File.ReadAllText(Path.Combine(Helm.Chart, "Chart.yaml"))));

        Assert.Equal((version, version), ((string?)chart["version"], (string?)chart["appVersion"]));
    }
}
