using System.Text.RegularExpressions;

namespace Exporter.Kernel.Tests.Support;

/// <summary>docs/upgrading.md: the names that it says are other ones, and the commands that it gives.</summary>
internal static partial class UpgradeNotes
{
    private static readonly string Text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "upgrading.md"));

    /// <summary>Families of metrics by their previous names.</summary>
    internal static IReadOnlyDictionary<string, string> Metrics { get; } = ReadTable(RenamedMetric());

    /// <summary>Options by their previous names.</summary>
    internal static IReadOnlyDictionary<string, string> Options { get; } = ReadTable(RenamedOption());

    /// <summary>Runs the command for options on a text.</summary>
    internal static string RenameOptions(string text)
    {
        var command = Assert.Single(Command().Matches(Text).Select(match => match.Value), command => Options.Keys.All(key => command.Contains(key.Split(':')[1], StringComparison.Ordinal)));
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, text);
            Shell.Run("sh", "-c", command.Replace("FILE...", path, StringComparison.Ordinal));
            return File.ReadAllText(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Rows of two names; a row with a third column says what else has changed.</summary>
    private static Dictionary<string, string> ReadTable(Regex row)
    {
        var table = row.Matches(Text).ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value);
        Assert.NotEmpty(table);
        return table;
    }

    [GeneratedRegex(@"^\| `(podnet_exporter_\w+)` \| `(podnet_exporter_\w+)` \|$", RegexOptions.Multiline)]
    private static partial Regex RenamedMetric();

    [GeneratedRegex(@"^\| `(\w+:\w+)` \| `(\w+:\w+)` \|$", RegexOptions.Multiline)]
    private static partial Regex RenamedOption();

    [GeneratedRegex(@"(?<=^```\n)sed -i (?:[^`]|\n)*?FILE\.\.\.(?=\n```)", RegexOptions.Multiline)]
    private static partial Regex Command();
}
