using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Chart.Tests;

/// <summary>Every file of chart/ci, by the real helm and the schemas of the Kubernetes API.</summary>
public sealed class ScenarioTests
{
    /// <summary>The schemas are of Kubernetes and of the Prometheus operator.</summary>
    private static readonly string[] KindsWithoutSchema = ["SecurityContextConstraints", "VerticalPodAutoscaler"];

    public static TheoryData<string> Scenarios => [.. Helm.Scenarios];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Helm_lint_finds_nothing(string scenario)
    {
        var (exitCode, output, error) = Helm.Run("lint", "--strict", Helm.Chart, "--values", Helm.PathOf(scenario));

        Assert.True(exitCode == 0, output + error);
        Assert.DoesNotContain("[WARNING]", output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task Every_object_is_as_the_schemas_of_the_API_say(string scenario)
    {
        var manifest = Helm.RenderScenario(scenario);

        var problems = await ValidateAsync(manifest.Objects);

        foreach (var (rendered, found) in manifest.Objects.Zip(problems))
        {
            var kind = (string)rendered["kind"]!;
            if (KindsWithoutSchema.Contains(kind))
            {
                Assert.Null(found);
            }
            else
            {
                Assert.True(found is not null, $"There is no schema of {kind}.");
                Assert.True(found.Length == 0, $"{kind}: {string.Join("; ", found)}");
            }
        }
    }

    [Theory]
    [InlineData("hostNetwork: \"yes\"", "/spec/template/spec/hostNetwork must be boolean")]
    [InlineData("hostNetwrk: true", "/spec/template/spec/hostNetwrk is no field")]
    [InlineData("terminationGracePeriodSeconds: soon", "/spec/template/spec/terminationGracePeriodSeconds must be integer")]
    public async Task An_object_that_the_API_would_refuse_is_found(string wrong, string problem)
    {
        var daemonSet = Yaml.Parse($$$"""
            apiVersion: apps/v1
            kind: DaemonSet
            metadata: {name: a}
            spec:
              selector: {matchLabels: {a: b}}
              template:
                metadata: {labels: {a: b}}
                spec:
                  containers: [{name: c, image: i}]
                  {{{wrong}}}
            """);

        Assert.Equal([problem], Assert.Single(await ValidateAsync(daemonSet))!);
    }

    /// <summary>There is no schema of a FlinkDeployment: of it the pods are compared.</summary>
    [Fact]
    public async Task The_files_of_the_Flink_job_have_objects_of_the_API_and_pods()
    {
        var objects = Yaml.Parse(File.ReadAllText(Path.Combine(Repository.Root, "jobs", "flink", "kubernetes", "flinkdeployment.yaml")));
        var deployment = objects.Single(found => (string?)found["kind"] == "FlinkDeployment");
        var pod = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Pod", ["metadata"] = new JsonObject { ["name"] = "a" }, ["spec"] = deployment["spec"]!["podTemplate"]!["spec"]!.DeepClone() };

        Assert.Equal("flink.apache.org/v1beta1", (string?)deployment["apiVersion"]);
        Assert.All(await ValidateAsync([.. objects.Where(found => found != deployment), pod]), Assert.Empty!);
    }

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Names_and_labels_are_what_selectors_and_bindings_ask_for(string scenario)
    {
        var manifest = Helm.RenderScenario(scenario);

        Assert.All(manifest.Objects, found => Assert.Equal("podnet-exporter", (string?)found["metadata"]!["labels"]!["app.kubernetes.io/name"]));
        Assert.Equal(manifest.Objects.Count, manifest.Objects.Select(found => $"{found["kind"]}/{found["metadata"]!["name"]}").Distinct().Count());
        var labels = manifest.Pod["metadata"]!["labels"]!.AsObject();
        foreach (var selector in manifest.Objects.Select(SelectorOf).OfType<JsonObject>())
        {
            Assert.All(selector, wanted => Assert.Equal((string?)wanted.Value, (string?)labels[wanted.Key]));
            // A selector of a DaemonSet cannot be changed: nothing in it may change with a version.
            Assert.Equal(["app.kubernetes.io/instance", "app.kubernetes.io/name"], selector.Select(wanted => wanted.Key).Order());
        }
        if (manifest.Kinds.Contains("ClusterRoleBinding"))
        {
            Assert.Equal((string?)manifest.PodSpec["serviceAccountName"], (string?)manifest["ClusterRoleBinding"]["subjects"]![0]!["name"]);
            Assert.Equal((string?)manifest["ClusterRole"]["metadata"]!["name"], (string?)manifest["ClusterRoleBinding"]["roleRef"]!["name"]);
        }
    }

    [Fact]
    public void Every_kind_that_the_chart_can_make_is_made_by_a_scenario()
    {
        var made = Helm.Scenarios.SelectMany(scenario => Helm.RenderScenario(scenario).Kinds).Distinct();

        var known = Directory.GetFiles(Path.Combine(Helm.Chart, "templates"), "*.yaml").SelectMany(File.ReadLines)
            .Where(line => line.StartsWith("kind: ", StringComparison.Ordinal)).Select(line => line["kind: ".Length..]).Distinct();
        Assert.Equal(known.Order(), made.Order());
    }

    private static JsonObject? SelectorOf(JsonObject rendered) => (string)rendered["kind"]! switch
    {
        "DaemonSet" or "PodMonitor" or "ServiceMonitor" => rendered["spec"]!["selector"]!["matchLabels"]!.AsObject(),
        "NetworkPolicy" => rendered["spec"]!["podSelector"]!["matchLabels"]!.AsObject(),
        "Service" => rendered["spec"]!["selector"]!.AsObject(),
        _ => null,
    };

    /// <summary>What is wrong with each; null: there is no schema of its kind.</summary>
    private static async Task<string[]?[]> ValidateAsync(IEnumerable<JsonObject> objects)
    {
        var script = Path.Combine(Repository.Root, "tests", "Exporter.Chart.Tests", "Tools", "validate.mjs");
        using var node = Process.Start(new ProcessStartInfo("node", [script, Path.Combine(Helm.Tools, "node_modules")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        await node.StandardInput.WriteAsync(new JsonArray([.. objects.Select(found => found.DeepClone())]).ToJsonString());
        node.StandardInput.Close();
        var answer = await node.StandardOutput.ReadToEndAsync();
        await node.WaitForExitAsync();
        return JsonSerializer.Deserialize<string[]?[]>(answer)!;
    }
}
