using Exporter.Bpf;
using Exporter.Commands;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Folders are namespaces, and use each other in one direction.</summary>
public sealed class HouseTests
{
    /// <summary>A folder uses only those behind it.</summary>
    private static readonly string[] FoldersInOrder =
    [
        "Exporter.Commands",
        "Exporter.Endpoints",
        "Exporter.Security",
        "Exporter.Server",
        "Exporter.Programs",
        "Exporter.Discovery",
        "Exporter.Kubernetes",
        "Exporter.Kubernetes.Access",
        "Exporter.Traffic",
        "Exporter.Handshakes",
        "Exporter.Metrics",
        "Exporter.State",
        "Exporter.Pods",
        "Exporter.Options",
        "Exporter.Health",
        "Exporter",
        "Exporter.Bpf.Tc",
        "Exporter.Bpf",
        "Exporter.Bpf.Contract",
        "Exporter.Bpf.Netlink",
        "Exporter.Bpf.Native",
    ];

    /// <summary>What uses a folder before it still. One that is no longer there has to be deleted here, and none may be added.</summary>
    private static readonly string[] AgainstTheOrder =
    [
        "Exporter.Bpf -> Exporter.Bpf.Tc: TcDirection, TcxHook",
        "Exporter.Bpf.Contract -> Exporter.Bpf: MapLayout, PerCpu",
        "Exporter.Bpf.Netlink -> Exporter.Bpf: BpfException, NetNamespaces",
        "Exporter.Bpf.Netlink -> Exporter.Bpf.Tc: IngressQdisc, TcDirection",
        "Exporter.Discovery -> Exporter.Programs: ProgramTrial",
        "Exporter.Handshakes -> Exporter.Traffic: HeldRows`1",
        "Exporter.Kubernetes.Access -> Exporter.Kubernetes: ApiConnection",
        "Exporter.Metrics -> Exporter.Server: RefusalReason",
        "Exporter.Options -> Exporter.Metrics: ExporterFamilies, MetricDefinition, SeriesPlan",
        "Exporter.Options -> Exporter.Pods: PodLabel",
    ];

    private static readonly Type[] AnyOfEachAssembly = [typeof(RunCommand), typeof(KernelSupport)];

    [Fact]
    public void A_folder_uses_only_those_behind_it()
    {
        var backwards = Uses()
            .Where(use => Array.IndexOf(FoldersInOrder, use.To) < Array.IndexOf(FoldersInOrder, use.From))
            .GroupBy(use => $"{use.From} -> {use.To}", use => use.Used)
            .Select(arrow => $"{arrow.Key}: {string.Join(", ", arrow.Distinct().Order(StringComparer.Ordinal))}");

        Assert.Equal(AgainstTheOrder.Order(StringComparer.Ordinal), backwards.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_folder_has_a_place_in_the_order() =>
        Assert.Equal(FoldersInOrder.Order(), Uses().SelectMany(use => (string[])[use.From, use.To]).Distinct().Order());

    [Fact]
    public void The_namespace_of_a_file_is_its_folder()
    {
        var sources = Path.Combine(Repository.Root, "exporter");
        var elsewhere = Directory.EnumerateFiles(sources, "*.cs", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(sources, file))
            .Where(file => !file.Split('/').Any(folder => folder is "bin" or "obj"))
            .Where(file => NamespaceIn(Path.Combine(sources, file)) is { } name && name != Path.GetDirectoryName(file)!.Replace('/', '.'));

        Assert.Empty(elsewhere);
    }

    /// <summary>Null for a file of assembly attributes or top-level statements.</summary>
    private static string? NamespaceIn(string file)
    {
        const string Keyword = "namespace ";
        return File.ReadLines(file).FirstOrDefault(line => line.StartsWith(Keyword, StringComparison.Ordinal))?[Keyword.Length..].TrimEnd(';');
    }

    /// <summary>Without the compiler's own types, which have no namespace or that of their generator.</summary>
    private static IEnumerable<TypeUse> Uses() => AnyOfEachAssembly.SelectMany(CompiledAssembly.UsesWithin).Where(use => IsOurs(use.From) && IsOurs(use.To));

    private static bool IsOurs(string name) => name.StartsWith(nameof(Exporter), StringComparison.Ordinal);
}
