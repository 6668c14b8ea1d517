using System.Reflection;
using System.Text.RegularExpressions;
using Exporter.Bpf;
using Exporter.Commands;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Folders are namespaces, and use each other in one direction; files, and what a type is made of, stay small.</summary>
public sealed partial class HouseTests
{
    /// <summary>A folder uses only those behind it.</summary>
    private static readonly string[] FoldersInOrder =
    [
        "Exporter.Commands",
        "Exporter.Server.Security",
        "Exporter.Server",
        "Exporter.Replacement",
        "Exporter.Interfaces",
        "Exporter.Kubernetes",
        "Exporter.Kubernetes.Access",
        "Exporter.Signals.Traffic",
        "Exporter.Signals.Handshakes",
        "Exporter.Signals.Uplinks",
        "Exporter.Signals.Flows.Shaping",
        "Exporter.Signals.Flows",
        "Exporter.Signals",
        "Exporter.Signals.Objects",
        "Exporter.Export.Elasticsearch",
        "Exporter.Export.Kafka",
        "Exporter.Export",
        "Exporter.Edges",
        "Exporter.Exposition",
        "Exporter.Accounts",
        "Exporter.State",
        "Exporter.Pods",
        "Exporter.Records",
        "Exporter.Peers",
        "Exporter.Metrics",
        "Exporter.Options",
        "Exporter.Verification",
        "Exporter.Health",
        "Exporter",
        "Exporter.Bpf.Attach",
        "Exporter.Bpf",
        "Exporter.Bpf.Netlink",
        "Exporter.Bpf.Native",
    ];

    private static readonly Type[] AnyOfEachAssembly = [typeof(RunCommand), typeof(KernelSupport)];

    /// <summary>Only <see cref="AllSignals"/> names the rooms of signals.</summary>
    [Fact]
    public void What_signals_share_knows_no_signal() =>
        Assert.Equal(
            ["AllSignals"],
            Uses().Where(use => IsRoom(use.To) && !IsRoom(use.From)).Select(use => use.By).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void A_signal_knows_no_other() => Assert.DoesNotContain(Uses(), use => IsRoom(use.From) && IsRoom(use.To) && SignalOf(use.From) != SignalOf(use.To));

    /// <summary>The folder of one signal, or one within it.</summary>
    private static bool IsRoom(string folder) => folder.StartsWith("Exporter.Signals.", StringComparison.Ordinal) && folder != "Exporter.Signals.Objects";

    /// <summary>The folder of the signal that a room is of.</summary>
    private static string SignalOf(string room) => string.Join('.', room.Split('.').Take(3));

    [Fact]
    public void A_folder_uses_only_those_behind_it()
    {
        var backwards = Uses()
            .Where(use => Array.IndexOf(FoldersInOrder, use.To) < Array.IndexOf(FoldersInOrder, use.From))
            .GroupBy(use => $"{use.From} -> {use.To}", use => use.Used)
            .Select(arrow => $"{arrow.Key}: {string.Join(", ", arrow.Distinct().Order(StringComparer.Ordinal))}");

        Assert.Empty(backwards);
    }

    /// <summary>The picture has a line for each folder: its name, and the folders that it uses.</summary>
    [Fact]
    public void The_picture_of_the_folders_in_ARCHITECTURE_is_that_of_the_compiled_code()
    {
        var text = File.ReadAllText(Path.Combine(Repository.Root, "ARCHITECTURE.md"));
        var picture = Picture().Match(text).Groups[1].Value;

        var arrows = Uses().Select(use => (From: Short(use.From), To: Short(use.To))).ToLookup(use => use.From, use => use.To);
        var width = FoldersInOrder.Max(folder => Short(folder).Length);
        var compiled = FoldersInOrder.Select(Short)
            .Select(folder => $"{folder.PadRight(width)} -> {string.Join(", ", FoldersInOrder.Select(Short).Where(arrows[folder].Contains))}".TrimEnd(' ', '-', '>'));

        Assert.Equal(string.Join('\n', compiled) + '\n', picture);

        static string Short(string folder) => folder == nameof(Exporter) ? "(root)" : folder.Replace("Exporter.", "", StringComparison.Ordinal);
    }

    [GeneratedRegex("```arrows\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Picture();

    [Fact]
    public void Every_folder_has_a_place_in_the_order() =>
        Assert.Equal(FoldersInOrder.Order(), Uses().SelectMany(use => (string[])[use.From, use.To]).Distinct().Order());

    [Fact]
    public void The_namespace_of_a_file_is_its_folder() =>
        Assert.DoesNotContain(Sources(), file => NamespaceIn(Path.Combine(Root, file)) is { } name && name != Path.GetDirectoryName(file)!.Replace('/', '.'));

    [Fact]
    public void A_file_has_at_most_350_lines()
    {
        const int Most = 350;

        Assert.All(Sources(), file => Assert.True(File.ReadLines(Path.Combine(Root, file)).Count() <= Most, file));
    }

    [Fact]
    public void A_member_has_at_most_60_lines()
    {
        const int Most = 60;

        Assert.All(Sources(), file => Assert.All(MembersIn(file), member => Assert.True(member.Lines <= Most, $"{file}: {member.Name}")));
    }

    /// <summary>Records of options are exempt: they have a parameter for each option.</summary>
    [Fact]
    public void A_constructor_has_at_most_8_parameters()
    {
        const int Most = 8;

        var large = AnyOfEachAssembly.SelectMany(type => type.Assembly.GetTypes())
            .Where(type => IsOurs(type.Namespace ?? "") && !type.Name.EndsWith("Options", StringComparison.Ordinal))
            .Select(type => (type.Name, Parameters: Constructors(type).Select(constructor => constructor.GetParameters().Length).DefaultIfEmpty().Max()))
            .Where(type => type.Parameters > Most);

        Assert.Empty(large);

        static ConstructorInfo[] Constructors(Type type) => type.GetConstructors(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
    }

    private static string Root => Path.Combine(Repository.Root, "exporter");

    private static IEnumerable<string> Sources() => Directory.EnumerateFiles(Root, "*.cs", SearchOption.AllDirectories)
        .Select(file => Path.GetRelativePath(Root, file))
        .Where(file => !file.Split('/').Any(folder => folder is "bin" or "obj"));

    /// <summary>Null for a file of assembly attributes or top-level statements.</summary>
    private static string? NamespaceIn(string file)
    {
        const string Keyword = "namespace ";
        return File.ReadLines(file).FirstOrDefault(line => line.StartsWith(Keyword, StringComparison.Ordinal))?[Keyword.Length..].TrimEnd(';');
    }

    /// <summary>The members with a body of the outer types and of those within them, by their indentation.</summary>
    private static IEnumerable<(string Name, int Lines)> MembersIn(string file)
    {
        var lines = File.ReadAllLines(Path.Combine(Root, file));
        for (var i = 1; i < lines.Length; i++)
        {
            if (Body().Match(lines[i]) is { Success: true, Groups: [_, { Value: var indentation }] })
            {
                var end = Array.FindIndex(lines, i, line => line.StartsWith(indentation + "}", StringComparison.Ordinal));
                var start = Array.FindLastIndex(lines, i - 1, line => line.StartsWith(indentation, StringComparison.Ordinal) && line[indentation.Length] is not (' ' or ')' or ':'));
                if (Member().Match(lines[start]) is { Success: true, Groups: [_, { Value: var name }] })
                {
                    yield return (name, end - i + 1);
                }
            }
        }
    }

    [GeneratedRegex("^( {4}| {8})\\{$")]
    private static partial Regex Body();

    /// <summary>Methods and properties, but no types and no statements.</summary>
    [GeneratedRegex("^ +(?:public|internal|private|protected) (?!.*\\b(?:class|record|struct|interface|enum)\\b).*?(\\w+)(?:<.*>)?(?:\\(|$)")]
    private static partial Regex Member();

    /// <summary>Without the compiler's own types, which have no namespace or that of their generator.</summary>
    private static IEnumerable<TypeUse> Uses() => AnyOfEachAssembly.SelectMany(CompiledAssembly.UsesWithin).Where(use => IsOurs(use.From) && IsOurs(use.To));

    private static bool IsOurs(string name) => name.StartsWith(nameof(Exporter), StringComparison.Ordinal);
}
