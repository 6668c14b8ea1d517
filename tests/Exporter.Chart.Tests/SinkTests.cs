using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;
using Exporter.Commands;
using Exporter.Options;
using Microsoft.Extensions.Configuration;
using static Exporter.Chart.Tests.Support.Json;

namespace Exporter.Chart.Tests;

/// <summary>Secrets of the sinks kafka and elasticsearch, which options they need, and what the pods may connect to.</summary>
public sealed class SinkTests
{
    private const string Kafka = "options.Export.Sinks=kafka";
    private const string Brokers = "options.Kafka.Brokers=kafka-0:9093";
    private const string Search = "options.Export.Sinks=elasticsearch";
    private const string Urls = "options.Elasticsearch.Urls=https://es:9200";
    private const string Names = """{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}""";

    [Fact]
    public void Secrets_of_Kafka_are_files_that_the_options_name()
    {
        var manifest = Helm.RenderWith(
            Kafka, Brokers, "options.Kafka.Security=sasl-tls", "export.kafka.credentials.existingSecret=user", "export.kafka.credentials.userKey=name",
            "export.kafka.certificate.existingSecret=client", "export.kafka.certificate.privateKeyKey=client.key", "export.kafka.authority.existingSecret=ca");

        Assert.Equal(
            [
                ("CaFile", "ca", "ca.crt"), ("CertificateFile", "client", "tls.crt"), ("KeyFile", "client", "client.key"), ("PasswordFile", "user", "password"),
                ("UserFile", "user", "name"),
            ],
            FilesOf(manifest, "kafka"));
        AssertJson("""{"name": "kafka", "mountPath": "/etc/podnet-exporter/kafka", "readOnly": true}""", manifest.Mount("kafka"));
        Assert.Null(manifest.Volume("elasticsearch"));
    }

    [Fact]
    public void Secrets_of_Elasticsearch_are_files_that_the_options_name()
    {
        var manifest = Helm.RenderWith(
            Search, Urls, "export.elasticsearch.credentials.existingSecret=user", "export.elasticsearch.authority.existingSecret=ca", "export.elasticsearch.authority.key=root.pem");

        Assert.Equal([("CaFile", "ca", "root.pem"), ("PasswordFile", "user", "password"), ("UserFile", "user", "username")], FilesOf(manifest, "elasticsearch"));
        AssertJson("""{"name": "elasticsearch", "mountPath": "/etc/podnet-exporter/elasticsearch", "readOnly": true}""", manifest.Mount("elasticsearch"));
    }

    [Fact]
    public void An_API_key_takes_the_place_of_user_and_password() => Assert.Equal(
        [("ApiKeyFile", "key", "encoded")],
        FilesOf(Helm.RenderWith(Search, Urls, "export.elasticsearch.credentials.existingSecret=key", "export.elasticsearch.credentials.apiKeyKey=encoded"), "elasticsearch"));

    /// <summary>A file that is mounted by subPath never changes.</summary>
    [Theory]
    [InlineData("kafka-values.yaml", "kafka")]
    [InlineData("elasticsearch-values.yaml", "elasticsearch")]
    public void A_changed_Secret_is_seen_in_its_directory(string scenario, string sink)
    {
        var manifest = Helm.RenderScenario(scenario);

        Assert.DoesNotContain("subPath", manifest.PodSpec.ToJsonString(), StringComparison.Ordinal);
        Assert.NotEmpty(FilesOf(manifest, sink));
    }

    [Theory]
    [InlineData("kafka-values.yaml", "ca.crt", "password", "user")]
    [InlineData("elasticsearch-values.yaml", "api-key", "ca.crt")]
    public void The_program_takes_the_options_of_a_scenario_with_these_files(string scenario, params string[] files)
    {
        var directory = Directory.CreateTempSubdirectory("secrets");
        try
        {
            var authority = File.ReadAllText(new TestCertificates(directory.FullName).PathOf("root.crt"));
            var settings = Helm.RenderScenario(scenario).Environment.Where(variable => variable.Key.StartsWith("PODNET__", StringComparison.Ordinal)).ToDictionary(
                variable => variable.Key["PODNET__".Length..].Replace("__", ":", StringComparison.Ordinal),
                string? (variable) => variable.Value.Replace($"/etc/podnet-exporter/{scenario.Split('-')[0]}", directory.FullName, StringComparison.Ordinal));
            Assert.Equal(files, settings.Values.OfType<string>().Where(value => value.StartsWith(directory.FullName, StringComparison.Ordinal)).Select(Path.GetFileName).Order());
            Array.ForEach(files, file => File.WriteAllText(Path.Combine(directory.FullName, file), file == "ca.crt" ? authority : "secret"));
            var reader = new OptionReader(new ConfigurationBuilder().AddInMemoryCollection(settings).Build());

            _ = ExporterOptions.Read(reader);

            Assert.Empty(reader.Errors);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public void Sinks_need_no_more_rights()
    {
        var (without, with) = (Helm.RenderWith("options.Flows.Enabled=true", "options.Edges.Classes=pods=10.244.0.0/16"), Helm.RenderScenario("kafka-values.yaml"));

        AssertJson(without["ClusterRole"]["rules"]!.ToJsonString(), with["ClusterRole"]["rules"]);
        Assert.Equal(without.AddedCapabilities, with.AddedCapabilities);
    }

    [Theory]
    [InlineData("options.Export.Sinks: has kafka, and options.Kafka.Brokers is not set", Kafka)]
    [InlineData("options.Export.Sinks: has elasticsearch, and options.Elasticsearch.Urls is not set", "options.Export.Sinks={stdout,elasticsearch}")]
    [InlineData("export.kafka: names a Secret, and options.Export.Sinks does not have kafka", Search, Urls, "options.Kafka.Security=tls", "export.kafka.authority.existingSecret=s")]
    [InlineData("export.elasticsearch: names a Secret, and options.Export.Sinks does not have elasticsearch", Urls, "export.elasticsearch.credentials.existingSecret=s")]
    [InlineData("options.Kafka.Security: is plaintext, and export.kafka.certificate and export.kafka.authority are for TLS", Kafka, Brokers, "export.kafka.authority.existingSecret=s")]
    [InlineData("options.Kafka.Security: is sasl-plaintext, and export.kafka.certificate and export.kafka.authority are for TLS", Kafka, Brokers, "options.Kafka.Security=sasl-plaintext",
        "export.kafka.credentials.existingSecret=s", "export.kafka.certificate.existingSecret=s")]
    [InlineData("options.Kafka.Security: is tls, and export.kafka.credentials is for SASL", Kafka, Brokers, "options.Kafka.Security=tls", "export.kafka.credentials.existingSecret=s")]
    [InlineData("options.Kafka.Security: is sasl-tls, which needs a user and a password", Kafka, Brokers, "options.Kafka.Security=sasl-tls", "export.kafka.authority.existingSecret=s")]
    [InlineData("options.Kafka.PasswordFile: export.kafka.credentials.existingSecret sets it", Kafka, Brokers, "options.Kafka.Security=sasl-tls", "export.kafka.credentials.existingSecret=s",
        "options.Kafka.PasswordFile=/p")]
    [InlineData("options.Elasticsearch.CaFile: export.elasticsearch.authority.existingSecret sets it", Search, Urls, "export.elasticsearch.authority.existingSecret=s",
        "liveOptions.Elasticsearch.CaFile=/c")]
    [InlineData("options.Elasticsearch.Urls: has no address of https", Search, "options.Elasticsearch.Urls={http://a:9200,http://b:9200}", "export.elasticsearch.authority.existingSecret=s")]
    [InlineData("at '/export/kafka': additional properties 'password' not allowed", "export.kafka.password=p")]
    [InlineData("at '/export/kafka/credentials/existingSecret'", "export.kafka.credentials.existingSecret=Not_A_Name")]
    [InlineData("at '/export/kafka/credentials/passwordKey'", "export.kafka.credentials.passwordKey=")]
    [InlineData("at '/networkPolicy/apiServerPorts/0'", "networkPolicy.apiServerPorts={0}")]
    public void Values_that_do_not_go_together_are_refused_with_what_to_do(string message, params string[] values) =>
        Assert.Contains(message, Helm.Refuse([.. Helm.Set(values)]), StringComparison.Ordinal);

    [Theory]
    [InlineData(Kafka, "extraArgs={--Kafka:Brokers=kafka-0:9092}")]
    [InlineData(Kafka, Brokers, "options.Kafka.Security=sasl-tls", "options.Kafka.SaslMechanism=OAUTHBEARER")]
    [InlineData(Kafka, Brokers, "options.Kafka.Security=sasl-tls", "options.Kafka.UserFile=/u", "options.Kafka.PasswordFile=/p")]
    [InlineData("extraArgs={--Export:Sinks=kafka}", "options.Kafka.Security=tls", "export.kafka.authority.existingSecret=s")]
    [InlineData("options.Options.File=/f", "export.elasticsearch.credentials.existingSecret=s")]
    [InlineData(Search, "options.Elasticsearch.Urls={http://a:9200,https://b:9200}", "export.elasticsearch.authority.existingSecret=s")]
    public void What_the_chart_does_not_see_is_not_refused(params string[] values) => Assert.NotNull(Helm.RenderWith(values)["DaemonSet"]);

    [Theory]
    [InlineData("443 6443")]
    [InlineData("443 6443", Brokers, Urls)]
    [InlineData("443 6443 9092 9093 9094", Kafka, "options.Kafka.Brokers=a:9092\\, [fd00::1]:9093;b:9094")]
    [InlineData("443 6443 9092", Kafka, "options.Kafka.Brokers={a:9092,b:9092}")]
    [InlineData("443 6443 80 9200", Search, "options.Elasticsearch.Urls=http://a/search/\\,https://b\\,https://[fd00::1]:9200/:1")]
    [InlineData("443 6443 9093 9200", "options.Export.Sinks={kafka,elasticsearch}", Brokers, Urls)]
    [InlineData("8443 9093", Kafka, Brokers, "networkPolicy.apiServerPorts={8443}")]
    [InlineData("9093", Kafka, Brokers, "options.Identity.Source=standalone")]
    public void The_network_policy_lets_out_to_the_API_server_and_the_sinks(string ports, params string[] values)
    {
        var egress = Egress(["networkPolicy.enabled=true", .. values]);

        Assert.Equal(2, egress.Count);
        AssertJson(Names, egress[0]);
        Assert.Equal(ports, string.Join(' ', egress[1]!["ports"]!.AsArray().Select(port => (int)port!["port"]!)));
    }

    [Fact]
    public void Further_rules_of_the_network_policy_are_added()
    {
        var egress = Egress("networkPolicy.enabled=true", "networkPolicy.egress[0].to[0].ipBlock.cidr=192.0.2.0/24");

        AssertJson("""{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}""", egress[^1]);
        AssertJson($"[{Names}]", Egress("networkPolicy.enabled=true", "options.Identity.Source=standalone"));
    }

    private static JsonArray Egress(params string[] values) => Helm.RenderWith(values)["NetworkPolicy"]["spec"]!["egress"]!.AsArray();

    /// <summary>The options of a sink that name files, and the Secret and the key that each file is of.</summary>
    private static IEnumerable<(string Option, string Secret, string Key)> FilesOf(Manifest manifest, string sink)
    {
        var sources = manifest.Volume(sink)!["projected"]!["sources"]!.AsArray().Select(source => source!["secret"]!)
            .ToDictionary(secret => $"{manifest.Mount(sink)!["mountPath"]}/{secret["items"]![0]!["path"]}", secret => ((string)secret["name"]!, (string)secret["items"]![0]!["key"]!));
        var options = manifest.Environment.Where(variable => sources.ContainsKey(variable.Value)).ToDictionary(
            variable => variable.Key.Split("__", StringSplitOptions.None) is ["PODNET", var section, var option] && section.Equals(sink, StringComparison.OrdinalIgnoreCase) ? option : variable.Key,
            variable => sources[variable.Value]);
        Assert.Equal(sources.Count, options.Count);
        return options.Select(option => (option.Key, option.Value.Item1, option.Value.Item2)).Order();
    }
}
