using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Chart.Tests.Support;

/// <summary>The real helm, and the chart.</summary>
internal static class Helm
{
    internal const string Release = "r";

    internal const string Namespace = "monitoring";

    private static readonly Lazy<string> LazyTools = new(() => Shell.Run(Path.Combine(Repository.Root, "tests", "Exporter.Chart.Tests", "Tools", "fetch.sh")).Trim());

    /// <summary>The same arguments give the same answer, and many tests ask for the default.</summary>
    private static readonly ConcurrentDictionary<string, Lazy<(int ExitCode, string Output, string Error)>> Answers = new();

    internal static string Chart { get; } = Path.Combine(Repository.Root, "chart");

    /// <summary>Where helm and node_modules are.</summary>
    internal static string Tools => LazyTools.Value;

    /// <summary>Skips the test where helm is not there and cannot be fetched.</summary>
    internal static void Require()
    {
        try
        {
            _ = Tools;
        }
        catch (InvalidOperationException e)
        {
            Assert.Skip($"helm cannot be fetched: {e.Message}");
        }
    }

    /// <summary>The names of the files in chart/ci.</summary>
    internal static IEnumerable<string> Scenarios => Directory.GetFiles(Path.Combine(Chart, "ci"), "*-values.yaml").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal);

    internal static string PathOf(string scenario) => Path.Combine(Chart, "ci", scenario);

    internal static (int ExitCode, string Output, string Error) Run(params string[] arguments) => Shell.TryRun(Path.Combine(Tools, "helm"), arguments);

    /// <summary>What a scenario makes.</summary>
    internal static Manifest RenderScenario(string scenario, params string[] values) => Render(["--values", PathOf(scenario), .. Set(values)]);

    /// <summary>What these values make, each written as after --set: <c>image.tag=1</c>.</summary>
    internal static Manifest RenderWith(params string[] values) => Render([.. Set(values)]);

    /// <summary>What a file of values makes.</summary>
    internal static Manifest RenderFile(string path) => Render("--values", path);

    /// <summary>As <see cref="RenderWith"/>, for a version of Kubernetes.</summary>
    internal static Manifest RenderFor(string version, params string[] values) => Render(["--kube-version", version, .. Set(values)]);

    /// <summary>Arguments for these values.</summary>
    internal static IEnumerable<string> Set(IEnumerable<string> values) => values.SelectMany(value => new[] { "--set", value });

    /// <summary>Why these values are refused.</summary>
    internal static string Refuse(params string[] arguments)
    {
        var (exitCode, output, error) = Template(arguments);
        Assert.True(exitCode != 0, $"helm template {string.Join(' ', arguments)} was to fail, and wrote\n{output}");
        return error;
    }

    private static Manifest Render(params string[] arguments)
    {
        var (exitCode, output, error) = Template(arguments);
        Assert.True(exitCode == 0, error);
        return new(Yaml.Parse(output));
    }

    private static (int ExitCode, string Output, string Error) Template(string[] arguments) =>
        Answers.GetOrAdd(string.Join('\n', arguments), _ => new(() => Run(["template", Release, Chart, "--namespace", Namespace, .. arguments]))).Value;
}

/// <summary>Rendered objects.</summary>
internal sealed class Manifest(IReadOnlyList<JsonObject> objects)
{
    internal IReadOnlyList<JsonObject> Objects => objects;

    internal IEnumerable<string> Kinds => objects.Select(found => (string)found["kind"]!).Order(StringComparer.Ordinal);

    /// <summary>The one object of this kind.</summary>
    internal JsonNode this[string kind] => Assert.Single(objects, found => (string)found["kind"]! == kind);

    internal JsonNode Pod => this["DaemonSet"]["spec"]!["template"]!;

    internal JsonNode PodSpec => Pod["spec"]!;

    internal JsonNode Container => Assert.Single(PodSpec["containers"]!.AsArray())!;

    internal JsonNode? Volume(string name) => PodSpec["volumes"]?.AsArray().SingleOrDefault(volume => (string?)volume!["name"] == name);

    internal JsonNode? Mount(string name) => Container["volumeMounts"]?.AsArray().SingleOrDefault(mount => (string?)mount!["name"] == name);

    internal JsonNode SecurityContext => Container["securityContext"]!;

    internal IReadOnlyList<string> AddedCapabilities => [.. SecurityContext["capabilities"]!["add"]!.AsArray().Select(name => (string)name!)];

    /// <summary>The container's environment, as far as the chart says it itself.</summary>
    internal IReadOnlyDictionary<string, string> Environment =>
        Container["env"]!.AsArray().Where(variable => variable!["value"] is not null).ToDictionary(variable => (string)variable!["name"]!, variable => (string)variable!["value"]!);
}
