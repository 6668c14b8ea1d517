using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Exporter.Chart.Tests.Support;
using Exporter.Commands;
using Exporter.Kernel.Tests.Support;
using Exporter.Options;
using Microsoft.Extensions.Configuration;

namespace Exporter.Chart.Tests;

/// <summary>values.schema.json: what it refuses, and that it knows the program's options.</summary>
public sealed class SchemaTests
{
    /// <summary>The framework's own section, which the program takes as well.</summary>
    private const string Logging = "Logging";

    /// <summary>Files that the program serves with; here the values tls and auth set them.</summary>
    private static readonly string[] FilesOfServer = ["Server:CertificateFile", "Server:KeyFile", "Server:BearerTokenFile", "Server:BasicAuthFile"];

    private static readonly JsonObject Schema = JsonNode.Parse(File.ReadAllText(Path.Combine(Helm.Chart, "values.schema.json")))!.AsObject();

    public static TheoryData<string> Durations => [.. ProgramOptions().Where(IsDuration).Select(option => option.Key)];

    [Theory]
    [InlineData("imge.tag=1", "at ''", "additional properties 'imge' not allowed")]
    [InlineData("image.repositry=x", "at '/image'", "additional properties 'repositry' not allowed")]
    [InlineData("image.repository=Upper/Case", "at '/image/repository'", "'Upper/Case' does not match pattern")]
    [InlineData("image.repository=", "at '/image/repository'", "'' does not match pattern")]
    [InlineData("image.digest=sha256:12", "at '/image/digest'", "'sha256:12' does not match pattern")]
    [InlineData("image.pullPolicy=Sometimes", "at '/image/pullPolicy'", "must be one of 'Always', 'IfNotPresent', 'Never'")]
    [InlineData("options.Drian.Interval=1", "at '/options'", "additional properties 'Drian' not allowed")]
    [InlineData("options.Drain.Intervall=1", "at '/options/Drain'", "additional properties 'Intervall' not allowed")]
    [InlineData("options.Drain.Interval=5", "at '/options/Drain/Interval'", "got number, want null or string")]
    [InlineData("options.Drain.Interval=5s", "at '/options/Drain/Interval'", "'5s' does not match pattern")]
    [InlineData("options.Attach.Hook=xdp", "at '/options/Attach/Hook'", "must be one of 'auto', 'tcx', 'clsact'")]
    [InlineData("options.Attach.Priority=0", "at '/options/Attach/Priority'", "minimum: got 0, want 1")]
    [InlineData("options.Attach.Priority=65521", "at '/options/Attach/Priority'", "maximum: got 65,521, want 65,520")]
    [InlineData("options.Metrics.MaxSeries=many", "at '/options/Metrics/MaxSeries'", "got string, want null or integer")]
    [InlineData("options.Metrics.PodLabels={name}", "at '/options/Metrics/PodLabels/0'", "'name' does not match pattern")]
    [InlineData("options.Metrics.Namespaces={Shop}", "at '/options/Metrics/Namespaces/0'", "'Shop' does not match pattern")]
    [InlineData("options.Server.Urls=ftp://*:21", "at '/options/Server/Urls'", "'ftp://*:21' does not match pattern")]
    [InlineData("options.Bpf.RunStatistics=1", "at '/options/Bpf/RunStatistics'", "got number, want null or boolean")]
    [InlineData("options.Handshake.Buckets={0}", "at '/options/Handshake/Buckets/0'", "minimum: got 0, want 1×10⁻⁰⁶")]
    [InlineData("options.Logging.LogLevel.Default=Loud", "at '/options/Logging/LogLevel/Default'", "must be one of 'Trace', 'Debug'")]
    [InlineData("options.Bpf.PinDirectory=podnet", "at '/options/Bpf/PinDirectory'", "'podnet' does not match pattern")]
    [InlineData("options.Bpf.ObjectDirectory=bpf", "at '/options/Bpf/ObjectDirectory'", "'bpf' does not match pattern")]
    [InlineData("options.Bpf.ObjectHashes=12", "at '/options/Bpf/ObjectHashes'", "got number")]
    [InlineData("options.Bpf.ObjectHashes={ab}", "at '/options/Bpf/ObjectHashes/0'", "'ab' does not match pattern")]
    [InlineData("options.Options.File=options.json", "at '/options/Options/File'", "'options.json' does not match pattern")]
    [InlineData("options.Identity.Wait=00:00:10", "at '/options/Identity/Wait'", "must be one of 'this option is called Identity:HoldFor now'")]
    [InlineData("options.Handshake.MaxLate=1", "at '/options/Handshake/MaxLate'", "must be one of 'this option is called Handshake:MaxRetransmitting now'")]
    [InlineData("liveOptions.Metrics.Sizes=pod", "at '/liveOptions/Metrics/Sizes'", "must be one of 'this option is called Metrics:PacketSizes now'")]
    [InlineData("liveOptions.Drian.Interval=1", "at '/liveOptions'", "additional properties 'Drian' not allowed")]
    [InlineData("liveOptions.Metrics.MaxSeries=many", "at '/liveOptions/Metrics/MaxSeries'", "got string, want null or integer")]
    [InlineData("bpfObjects.existingConfigMap=Not_A_Name", "at '/bpfObjects/existingConfigMap'", "'Not_A_Name' does not match pattern")]
    [InlineData("uninstall.nodes=-1", "at '/uninstall/nodes'", "minimum: got -1, want 0")]
    [InlineData("appArmorProfile.type=Localhost", "at '/appArmorProfile'", "missing property 'localhostProfile'")]
    [InlineData("extraEnv[0].name=PODNET__Drain__Interval", "at '/extraEnv/0/name'", "'not' failed")]
    [InlineData("seccompProfile.type=Localhost", "at '/seccompProfile'", "missing property 'localhostProfile'")]
    [InlineData("seccompProfile.type=Whatever", "at '/seccompProfile/type'", "must be one of 'RuntimeDefault', 'Localhost', 'Unconfined'")]
    [InlineData("capabilities.add={ALL}", "at '/capabilities'", "additional properties 'add' not allowed")]
    [InlineData("privileged=true", "at ''", "additional properties 'privileged' not allowed")]
    [InlineData("hostPID=true", "at ''", "additional properties 'hostPID' not allowed")]
    [InlineData("updateStrategy.rollingUpdate.maxSurge=1", "at '/updateStrategy/rollingUpdate'", "additional properties 'maxSurge' not allowed")]
    [InlineData("updateStrategy.rollingUpdate.maxUnavailable=0", "at '/updateStrategy/rollingUpdate/maxUnavailable'", "minimum: got 0, want 1")]
    [InlineData("podMonitor.interval=often", "at '/podMonitor/interval'", "'often' does not match pattern")]
    [InlineData("podMonitor.honorLabels=false", "at '/podMonitor'", "additional properties 'honorLabels' not allowed")]
    [InlineData("tls.enabled=true", "at '/tls'", "additional properties 'enabled' not allowed")]
    [InlineData("tls.existingSecret=Not_A_Name", "at '/tls/existingSecret'", "'Not_A_Name' does not match pattern")]
    [InlineData("livenessProbe.periodSeconds=0", "at '/livenessProbe/periodSeconds'", "minimum: got 0, want 1")]
    public void A_wrong_value_is_refused_with_its_place_and_what_is_wrong(string value, string place, string problem)
    {
        var message = Helm.Refuse("--set", value);

        Assert.Contains(place, message, StringComparison.Ordinal);
        Assert.Contains(problem, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("serviceMonitor.enabled: a ServiceMonitor needs the Service", "serviceMonitor.enabled=true", "service.enabled=false")]
    [InlineData("auth.existingSecret: name its key", "auth.existingSecret=s")]
    [InlineData("auth.bearerTokenKey, auth.basicAuthKey: set auth.existingSecret", "auth.bearerTokenKey=token")]
    [InlineData("options.Server.Urls: has http, and there is a certificate", "options.Server.Urls={https://*:1,http://*:2}", "tls.existingSecret=s")]
    [InlineData("options.Server.Urls: has https, and there is no certificate", "options.Server.Urls=https://*:9969")]
    [InlineData("options.Server.Urls: has http, and there is a certificate", "options.Server.Urls=http://*:9969", "options.Server.CertificateFile=/c", "options.Server.KeyFile=/k")]
    [InlineData("options.Server.CertificateFile: tls.existingSecret sets it", "options.Server.CertificateFile=/c", "tls.existingSecret=s")]
    [InlineData("options.Server.KeyFile: tls.existingSecret sets it", "options.Server.KeyFile=/k", "tls.existingSecret=s")]
    [InlineData("options.Server.BearerTokenFile: auth.bearerTokenKey sets it", "options.Server.BearerTokenFile=/t", "auth.existingSecret=s", "auth.bearerTokenKey=t")]
    [InlineData("options.Server.BasicAuthFile: auth.basicAuthKey sets it", "options.Server.BasicAuthFile=/t", "auth.existingSecret=s", "auth.basicAuthKey=t")]
    [InlineData("finds the Secrets of tls and auth in its own namespace only", "podMonitor.enabled=true", "podMonitor.namespace=other", "tls.existingSecret=s")]
    [InlineData("finds the Secrets of tls and auth in its own namespace only", "serviceMonitor.enabled=true", "serviceMonitor.namespace=other", "auth.existingSecret=s", "auth.bearerTokenKey=t")]
    [InlineData("liveOptions.Drain.Interval: is in options as well", "liveOptions.Drain.Interval=00:00:05", "options.Drain.Interval=00:00:02")]
    [InlineData("liveOptions.Logging.LogLevel.Default: is in options as well", "liveOptions.Logging.LogLevel.Default=Debug", "options.Logging.LogLevel.Default=Debug")]
    [InlineData("liveOptions.Drain.Interval: '01:00:00' is out of range", "liveOptions.Drain.Interval=01:00:00")]
    [InlineData("liveOptions.Server: the pods are made by it; set options.Server", "liveOptions.Server.Urls=http://*:1")]
    [InlineData("liveOptions.Kubernetes: the pods are made by it", "liveOptions.Kubernetes.Kubeconfig=/k")]
    [InlineData("liveOptions.Bpf: the pods are made by it", "liveOptions.Bpf.PinDirectory=")]
    [InlineData("liveOptions.Options: the pods are made by it", "liveOptions.Options.File=/f")]
    [InlineData("liveOptions.Identity.Source: the pods are made by it", "liveOptions.Identity.Source=standalone")]
    [InlineData("options.Options.File: has another file than liveOptions", "liveOptions.Drain.Interval=00:00:05", "options.Options.File=/f")]
    [InlineData("options.Bpf.PinDirectory: has to be below /sys/fs/bpf", "options.Bpf.PinDirectory=/run/podnet")]
    [InlineData("options.Bpf.ObjectDirectory: bpfObjects.existingConfigMap sets it", "options.Bpf.ObjectDirectory=/d", "bpfObjects.existingConfigMap=c")]
    public void Values_that_do_not_go_together_are_refused_with_what_to_do(string message, params string[] values) =>
        Assert.Contains(message, Helm.Refuse([.. Helm.Set(values)]), StringComparison.Ordinal);

    [Fact]
    public void Every_option_of_the_program_is_known_and_no_other()
    {
        var known = Sections().Where(section => section.Key != Logging).SelectMany(section => KeysIn(section.Key, section.Value!));

        Assert.Equal(ProgramOptions().Select(option => option.Key).Union(FilesOfServer).Union(ProgramOptions().Select(option => option.Previous).OfType<string>()).Order(), known.Order());
        Assert.All(Sections(), section => Assert.False((bool)section.Value!["additionalProperties"]!));
    }

    [Fact]
    public void The_words_numbers_and_switches_of_an_option_are_the_program_s()
    {
        var checkedOptions = 0;
        foreach (var option in ProgramOptions())
        {
            var property = PropertyOf(option);
            if (option.Values == "true, false")
            {
                Assert.Equal("boolean", TypeOf(property));
            }
            else if (Regex.Match(option.Values, "^([0-9]+) to ([0-9]+)$") is { Success: true } range)
            {
                Assert.Equal("integer", TypeOf(property));
                Assert.Equal((range.Groups[1].Value, range.Groups[2].Value), ($"{property["minimum"]}", $"{property["maximum"]}"));
            }
            else if (property["enum"] is JsonArray words)
            {
                // A bare off is false in YAML.
                Assert.Equal(option.Values.Split(", "), words.Where(word => word?.GetValueKind() == System.Text.Json.JsonValueKind.String).Select(word => (string)word!));
                Assert.Equal(option.Values.Contains("off", StringComparison.Ordinal), words.Any(word => word?.GetValueKind() == System.Text.Json.JsonValueKind.False));
            }
            else
            {
                continue;
            }
            checkedOptions++;
        }
        // What is left are durations, lists and texts, which have tests of their own.
        Assert.Equal(ProgramOptions().Count(option => Regex.IsMatch(option.Values, "^(true, false|[0-9]+ to [0-9]+|[A-Za-z0-9-]+(, [A-Za-z0-9-]+)+)$")), checkedOptions);
    }

    [Fact]
    public void The_options_that_the_templates_know_are_those_of_the_documentation() => Assert.Equal(
        File.ReadAllText(Path.Combine(Repository.Root, "chart", "options.yaml")), Shell.Run(Path.Combine(Repository.Root, "scripts", "chart-options.sh")));

    [Theory]
    [MemberData(nameof(Durations))]
    public void A_duration_can_be_what_the_program_takes_and_nothing_beside_it(string key)
    {
        var (least, most) = RangeOf(key);
        var path = $"options.{key.Replace(':', '.')}";

        Assert.Equal(least, Helm.RenderWith($"{path}={least}").Environment[NameOf(key)]);
        Assert.Equal(most, Helm.RenderWith($"{path}={most}").Environment[NameOf(key)]);
        var tick = TimeSpan.FromTicks(1);
        if (TimeSpan.Parse(least, CultureInfo.InvariantCulture) is { Ticks: > 0 } first)
        {
            Assert.Contains($"{path}: '{first - tick:c}' is out of range; it can be from {least} to {most}", Helm.Refuse("--set", $"{path}={first - tick:c}"), StringComparison.Ordinal);
        }
        var last = TimeSpan.Parse(most, CultureInfo.InvariantCulture);
        Assert.Contains($"{path}: '{last + tick:c}' is out of range; it can be from {least} to {most}", Helm.Refuse("--set", $"{path}={last + tick:c}"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Drain:Interval", "00:00:01", true)]
    [InlineData("Drain:Interval", "0:0:1.5", true)]
    [InlineData("Drain:Interval", "00:01", true)]
    [InlineData("Drain:Interval", "00:00:01.12345678", false)]
    [InlineData("Drain:Interval", "00:00:60", false)]
    [InlineData("Drain:Interval", "1", false)]
    [InlineData("Drain:Interval", "-00:00:01", false)]
    [InlineData("Metrics:Retention", "1.00:00:00", true)]
    [InlineData("Server:Urls", "http://*:9969", true)]
    [InlineData("Server:Urls", "http://127.0.0.1:9969;http://[::1]:9969/", true)]
    [InlineData("Server:Urls", "http://*", false)]
    [InlineData("Server:Urls", "http://*:9969/metrics", false)]
    [InlineData("Server:Urls", "*:9969", false)]
    [InlineData("Server:Urls", "", false)]
    [InlineData("Metrics:PodLabels", "namespace;workload;label:app", true)]
    [InlineData("Metrics:PodLabels", "namespace; pod;", true)]
    [InlineData("Metrics:PodLabels", "name", false)]
    [InlineData("Metrics:PodLabels", "", false)]
    [InlineData("Metrics:Namespaces", "shop;kube-system", true)]
    [InlineData("Metrics:Namespaces", "", true)]
    [InlineData("Metrics:Namespaces", "Shop", false)]
    [InlineData("Handshake:Buckets", "0.001;0.01", true)]
    [InlineData("Handshake:Buckets", "0.001,0.01", false)]
    [InlineData("Handshake:Buckets", "", false)]
    public void A_text_is_taken_where_the_program_takes_it(string key, string text, bool isGood)
    {
        var reader = Read(new Dictionary<string, string?> { [key] = text });
        Assert.Equal(isGood, reader.Errors.Count == 0);

        Assert.Equal(isGood, Accepts(Schema["properties"]!["options"]!["properties"]![key.Split(':')[0]]!["properties"]![key.Split(':')[1]]!, text));
    }

    [Fact]
    public void A_scenario_sets_every_option_and_the_program_reads_all_of_them()
    {
        var environment = Helm.RenderScenario("options-values.yaml").Environment.Where(variable => variable.Key.StartsWith("PODNET__", StringComparison.Ordinal))
            .ToDictionary(variable => variable.Key["PODNET__".Length..].Replace("__", ":", StringComparison.Ordinal), string? (variable) => variable.Value.Replace("$(NODE_IP)", "10.0.0.1", StringComparison.Ordinal));
        // The chart mounts the directory of this file.
        environment["File:Path"] = Path.Combine(Path.GetTempPath(), "flows.json");

        var reader = Read(environment);

        Assert.Empty(reader.Errors);
        Assert.Equal(reader.Options.Select(option => option.Key).Except(FilesOfServer).Order(), environment.Keys.Where(key => !key.StartsWith(Logging, StringComparison.Ordinal)).Order());
    }

    [Theory]
    [InlineData("Handshake:Hook")]
    [InlineData("Metrics:Segments")]
    [InlineData("Metrics:PacketSizes")]
    [InlineData("Metrics:Handshakes")]
    [InlineData("Edges:Level")]
    public void A_bare_off_is_off(string key)
    {
        // What YAML's off becomes.
        var environment = Helm.RenderWith($"options.{key.Replace(':', '.')}=false").Environment;

        Assert.Equal("off", environment[NameOf(key)]);
    }

    [Fact]
    public void The_schema_of_options_is_what_the_program_prints() =>
        Assert.True(
            File.ReadAllText(Path.Combine(Helm.Chart, "values.schema.json")).Contains(OptionsSchema.Write(ProgramOptions()), StringComparison.Ordinal),
            "chart/values.schema.json is out of date: run 'make docs'");

    [Fact]
    public void The_schema_and_the_values_have_the_same_keys()
    {
        var values = Assert.Single(Yaml.Parse(File.ReadAllText(Path.Combine(Helm.Chart, "values.yaml"))));

        Compare(values, Schema, "");

        static void Compare(JsonObject values, JsonObject schema, string path)
        {
            if (schema["properties"] is not JsonObject properties || path is "/options" or "/liveOptions" or "/global")
            {
                return;
            }
            Assert.False((bool?)schema["additionalProperties"] ?? true, $"{path} lets any key in.");
            // What a chart that has this one as a part sets, what has no default, and what the alerts and dashboards are set with.
            string[] unlisted = [.. path.Length == 0 ? ["enabled", "exports"] : Array.Empty<string>(), "localhostProfile", "level", "role", "type", "user", "prometheusRule", "dashboards", "rules"];
            Assert.Equal(properties.Select(property => $"{path}/{property.Key}").Where(key => !unlisted.Contains(key.Split('/')[^1])).Order(),
                values.Select(value => $"{path}/{value.Key}").Where(key => !unlisted.Contains(key.Split('/')[^1])).Order());
            foreach (var (key, value) in values)
            {
                if (value is JsonObject inner)
                {
                    Compare(inner, Resolve(properties[key]!).AsObject(), $"{path}/{key}");
                }
            }
        }
    }

    internal static IReadOnlyList<OptionDescription> ProgramOptions() => Read(new Dictionary<string, string?>()).Options;

    private static OptionReader Read(IEnumerable<KeyValuePair<string, string?>> settings)
    {
        var reader = new OptionReader(new ConfigurationBuilder().AddInMemoryCollection(settings).Build());
        _ = ExporterOptions.Read(reader);
        return reader;
    }

    private static bool IsDuration(OptionDescription option) => option.Values.Contains(" to ", StringComparison.Ordinal) && option.Values.Split(" to ").All(part => part.Contains(':', StringComparison.Ordinal));

    private static (string Least, string Most) RangeOf(string key)
    {
        var parts = ProgramOptions().Single(option => option.Key == key).Values.Split(" to ");
        return (parts[0], parts[1]);
    }

    private static string NameOf(string key) => "PODNET__" + key.Replace(":", "__", StringComparison.Ordinal);

    private static JsonObject Sections() => Schema["properties"]!["options"]!["properties"]!.AsObject();

    private static JsonNode PropertyOf(OptionDescription option) => Resolve(option.Key.Split(':').Skip(1).Aggregate(Sections()[option.Key.Split(':')[0]]!, (section, key) => section["properties"]![key]!));

    /// <summary>The keys of the options in a section, and in those within it.</summary>
    private static IEnumerable<string> KeysIn(string key, JsonNode schema) => schema["properties"] is JsonObject properties
        ? properties.SelectMany(property => KeysIn($"{key}:{property.Key}", property.Value!))
        : [key];

    private static JsonNode Resolve(JsonNode schema) => schema["$ref"] is { } reference ? ((string)reference!).Split('/').Skip(1).Aggregate((JsonNode)Schema, (at, key) => at[key]!) : schema;

    /// <summary>The type of a value that is not null, which every value can be.</summary>
    private static string? TypeOf(JsonNode schema) => schema["type"] is JsonArray types
        ? (string?)types.Single(type => (string?)type != "null")
        : (string?)schema["type"];

    /// <summary>As a validator would say of a string.</summary>
    private static bool Accepts(JsonNode schema, string text)
    {
        schema = Resolve(schema);
        if (schema["oneOf"] is JsonArray choices)
        {
            return choices.Count(choice => Accepts(choice!, text)) == 1;
        }
        return TypeOf(schema) == "string" && (schema["pattern"] is not { } pattern || Regex.IsMatch(text, (string)pattern!, RegexOptions.ECMAScript));
    }
}
