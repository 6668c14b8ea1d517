using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Exporter.Commands;
using Exporter.Export;
using Exporter.Export.Kafka;
using Exporter.Health;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;

namespace Exporter.Tests;

public sealed class KafkaOptionsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-kafka-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Without_other_settings_records_are_produced_once_acknowledged_by_all_replicas_and_held_in_8_MiB()
    {
        var settings = KafkaSettings.CreateForProducer(Read(("Kafka:Brokers", "a:9092, b:9092")), new FileWatch());

        Assert.Equal("a:9092,b:9092", settings["bootstrap.servers"]);
        Assert.Equal(("true", "all", "plaintext"), (settings["enable.idempotence"], settings["acks"], settings["security.protocol"]));
        Assert.Equal(("lz4", "20", "8192"), (settings["compression.codec"], settings["linger.ms"], settings["queue.buffering.max.kbytes"]));
        Assert.Equal(("60000", "murmur2_random"), (settings["message.timeout.ms"], settings["partitioner"]));
    }

    [Fact]
    public void Properties_take_the_place_of_defaults() =>
        Assert.Equal("5", KafkaSettings.CreateForProducer(Read(("Kafka:Brokers", "a:1"), ("Kafka:Properties", "linger.ms = 5; socket.keepalive.enable=true")), new FileWatch())["linger.ms"]);

    /// <summary>The client takes the later one of two names for a property, so the default must not come after the other name.</summary>
    [Theory]
    [InlineData("queue.buffering.max.ms=7", "linger.ms", "7")]
    [InlineData("delivery.timeout.ms=9000", "message.timeout.ms", "9000")]
    [InlineData("request.required.acks=-1", "acks", "-1")]
    [InlineData("linger.ms=5;queue.buffering.max.ms=7", "linger.ms", "7")]
    [InlineData("delivery.timeout.ms=9000;message.timeout.ms=8000", "message.timeout.ms", "8000")]
    public void A_property_s_other_name_takes_the_place_of_the_default_too(string properties, string name, string value)
    {
        var settings = KafkaSettings.CreateForProducer(Read(("Kafka:Brokers", "a:1"), ("Kafka:Properties", properties)), new FileWatch());

        Assert.Equal(value, settings[name]);
        Assert.DoesNotContain(settings.Keys, key => key != name && properties.Contains($"{key}=", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("enable.idempotence=false;acks=0", "acks cannot be 0: brokers would not answer, and records that they never got would count as acknowledged")]
    [InlineData("enable.idempotence=false;request.required.acks=00", "request.required.acks cannot be 0: ")]
    [InlineData("enable.idempotence=false;acks=0x0", "acks cannot be 0: ")]
    [InlineData("test.mock.num.brokers=1", "test.mock.num.brokers cannot be set: the sink relies on it")]
    [InlineData("delivery.report.only.error=true", "delivery.report.only.error cannot be set: the sink relies on it")]
    [InlineData("sasl.oauthbearer.client.credentials.client.id=x", "sasl.oauthbearer.client.credentials.client.id is set by Kafka:UserFile; use that option")]
    [InlineData("sasl.oauthbearer.client.credentials.client.secret=x", "sasl.oauthbearer.client.credentials.client.secret is set by Kafka:PasswordFile; use that option")]
    public void A_property_with_which_losses_would_not_be_counted_or_that_an_option_sets_is_refused(string properties, string reason)
    {
        var error = Assert.Single(ErrorsOf(("Kafka:Brokers", "a:9092"), ("Kafka:Properties", properties)));

        Assert.StartsWith($"Kafka:Properties: {reason}", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("enable.idempotence=false;acks=1")]
    [InlineData("retries=3;max.in.flight=1;message.send.max.retries=4")]
    public void Other_properties_are_taken(string properties) => Assert.Empty(ErrorsOf(("Kafka:Brokers", "a:9092"), ("Kafka:Properties", properties)));

    [Fact]
    public void User_and_password_come_from_files_without_the_ends_of_their_lines()
    {
        var settings = KafkaSettings.CreateForProducer(
            Read(("Kafka:Brokers", "a:1"), ("Kafka:Security", "sasl-plaintext"), ("Kafka:SaslMechanism", "plain"), ("Kafka:UserFile", Write("user", "exporter\n")), ("Kafka:PasswordFile", Write("password", "s3 cret\r\n"))),
            new FileWatch());

        Assert.Equal(("sasl_plaintext", "PLAIN", "exporter", "s3 cret"), (settings["security.protocol"], settings["sasl.mechanisms"], settings["sasl.username"], settings["sasl.password"]));
    }

    [Theory]
    [InlineData("Kafka:Brokers", "kafka", "has 'kafka', which is not HOST:PORT; write kafka-0.example:9092, IPv6 in brackets")]
    [InlineData("Kafka:Brokers", "a:1,b:70000", "has 'b:70000', which is not HOST:PORT; write kafka-0.example:9092, IPv6 in brackets")]
    [InlineData("Kafka:Topic", "a b", "is not the name of a topic; it has 1 to 249 letters, digits, '.', '_' and '-', like podnet.flows")]
    [InlineData("Kafka:Compression", "brotli", "is not one of none, gzip, snappy, lz4, zstd")]
    [InlineData("Kafka:SaslMechanism", "GSSAPI", "is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER")]
    [InlineData("Kafka:Security", "sasl-tls", "is with SASL; set Kafka:UserFile and Kafka:PasswordFile too")]
    public void An_error_says_what_is_wrong_and_what_can_be_written(string key, string text, string error)
    {
        var reader = TestOptions.Reader((key, text));
        KafkaOptions.Read(reader);

        Assert.Equal($"{key}: '{text}' {error}.", Assert.Single(reader.Errors));
    }

    [Fact]
    public void Without_brokers_the_sink_is_refused() =>
        Assert.Equal(["Kafka:Brokers: is not set, and Export:Sinks has kafka; write kafka-0.example:9092."], ErrorsOf());

    [Fact]
    public void All_errors_are_found_at_once_and_no_value_of_a_property_is_repeated()
    {
        var missing = Path.Combine(_directory, "missing");

        var errors = ErrorsOf(("Kafka:Security", "tls"), ("Kafka:CaFile", missing), ("Kafka:Properties", "sasl.password=s3cret;linger.ms"));

        Assert.Equal(
            [
                "Kafka:Brokers: is not set, and Export:Sinks has kafka; write kafka-0.example:9092.",
                "Kafka:Properties: sasl.password is set by Kafka:PasswordFile; use that option.",
                "Kafka:Properties: part 2 is not name=value; write linger.ms=50;acks=all.",
                $"Kafka:CaFile: '{missing}' cannot be read: there is no file '{missing}'.",
            ],
            errors);
    }

    [Theory]
    [InlineData("no.such.property=1", "no.such.property: No such configuration property: \"no.such.property\"")]
    [InlineData("socket.timeout.ms=soon", "socket.timeout.ms: Invalid value for configuration property")]
    [InlineData("acks=1", "its settings: `acks`")]
    public void A_property_that_the_client_does_not_take_is_refused_with_its_reason(string properties, string reason)
    {
        var error = Assert.Single(ErrorsOf(("Kafka:Brokers", "a:9092"), ("Kafka:Properties", properties)));

        Assert.StartsWith($"Kafka:Properties: the Kafka client does not take {reason}", error, StringComparison.Ordinal);
    }

    [Fact]
    public void All_properties_that_the_client_does_not_take_are_found_at_once_by_the_names_that_were_written() => Assert.Collection(
        ErrorsOf(("Kafka:Brokers", "a:9092"), ("Kafka:Properties", "linger.ms=soon;acks=all;no.such.property=1")),
        error => Assert.StartsWith("Kafka:Properties: the Kafka client does not take linger.ms: ", error, StringComparison.Ordinal),
        error => Assert.StartsWith("Kafka:Properties: the Kafka client does not take no.such.property: ", error, StringComparison.Ordinal));

    [Fact]
    public void Brokers_that_are_wrong_are_not_said_to_be_missing() => Assert.Single(ErrorsOf(("Kafka:Brokers", "a")));

    [Fact]
    public void A_file_that_is_no_certificate_is_refused_under_its_option()
    {
        var error = Assert.Single(ErrorsOf(("Kafka:Brokers", "a:9092"), ("Kafka:Security", "tls"), ("Kafka:CaFile", Write("ca.pem", "nonsense"))));

        Assert.StartsWith("Kafka:CaFile: the Kafka client does not take its settings: ssl.ca.location", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_and_a_key_that_do_not_belong_together_are_refused_under_both_options()
    {
        using var certificates = new Certificates();
        var certificate = Write("tls.crt", certificates.Server.ExportCertificatePem());
        var right = Write("tls.key", certificates.Server.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        var wrong = Write("wrong.key", certificates.Authority.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());

        Assert.Empty(ErrorsOf(("Kafka:Brokers", "a:9092"), ("Kafka:Security", "tls"), ("Kafka:CertificateFile", certificate), ("Kafka:KeyFile", right)));
        Assert.Equal(
            ["Kafka:CertificateFile", "Kafka:KeyFile"],
            ErrorsOf(("Kafka:Brokers", "a:9092"), ("Kafka:Security", "tls"), ("Kafka:CertificateFile", certificate), ("Kafka:KeyFile", wrong)).Select(error => error.Split(": ")[0]).Order());
    }

    [Theory]
    [InlineData("Kafka:UserFile", "Kafka:PasswordFile: the Kafka client does not take its settings: `sasl.oauthbearer.client.secret` is mandatory")]
    [InlineData("Kafka:PasswordFile", "Kafka:UserFile: the Kafka client does not take its settings: `sasl.oauthbearer.client.id` is mandatory")]
    public void A_part_of_a_token_s_credentials_that_is_missing_is_named(string present, string error) => Assert.StartsWith(
        error, Assert.Single(ErrorsOf([.. Token("http://127.0.0.1:1/token"), (present, Write("file", "x"))])), StringComparison.Ordinal);

    [Fact]
    public void The_token_endpoint_that_is_missing_is_named()
    {
        var errors = ErrorsOf([.. Token("")[..^1], ("Kafka:UserFile", Write("user", "x")), ("Kafka:PasswordFile", Write("password", "x"))]);

        Assert.StartsWith("Kafka:Properties: the Kafka client does not take its settings: `sasl.oauthbearer.token.endpoint.url` is mandatory", Assert.Single(errors), StringComparison.Ordinal);
    }

    /// <summary>A client that asks for a token waits for the answer when it is removed, and ends the process when a file for TLS is not one.</summary>
    [Theory]
    [InlineData(null, 0)]
    [InlineData("nonsense", 1)]
    public void Options_with_a_token_are_checked_without_asking_for_one(string? authorities, int errors)
    {
        using var endpoint = new TcpListener(IPAddress.Loopback, 0);
        endpoint.Start();
        List<(string Key, string? Value)> settings = [.. Token($"http://{endpoint.LocalEndpoint}/token"), ("Kafka:UserFile", Write("user", "x")), ("Kafka:PasswordFile", Write("password", "x"))];
        if (authorities is not null)
        {
            settings.RemoveAll(setting => setting.Key == "Kafka:Security");
            settings.AddRange([("Kafka:Security", "sasl-tls"), ("Kafka:CaFile", Write("ca.pem", authorities))]);
        }

        var found = ErrorsOf([.. settings]);

        Assert.All(found, error => Assert.StartsWith("Kafka:CaFile: ", error, StringComparison.Ordinal));
        Assert.Equal(errors, found.Count);
        Assert.False(endpoint.Pending());
        // A file may become so while the sink is in use.
        Assert.Equal(errors, Record.Exception(() => KafkaSettings.CreateForProducer(KafkaOptions.Read(TestOptions.Reader([.. settings])), new FileWatch())) is FormatException ? 1 : 0);
    }

    [Fact]
    public void Without_its_library_the_client_is_said_to_be_missing_where_brokers_are_given() =>
        Assert.Equal(["Kafka:Brokers"], KafkaProperties.OptionsAtFault(new DllNotFoundException(), Read(("Kafka:Brokers", "a:9092"), ("Kafka:Properties", "linger.ms=5"))));

    [Fact]
    public void Without_the_sink_the_options_are_not_checked_with_the_client() => Assert.Empty(TestOptions.ErrorsOf(("Kafka:Properties", "no.such.property=1")));

    [Fact]
    public async Task A_dry_run_prints_the_topics_and_asks_no_broker()
    {
        var (code, output, errors) = await InstallAsync("--to=kafka", "--dry-run", "--retention=2");

        Assert.Equal((0, ""), (code, errors));
        Assert.Equal(
            ["podnet.flows", "podnet.detections", "podnet.matrix", "podnet.counts"],
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(": 12 partitions, replicas as the brokers' default, message.timestamp.type=LogAppendTime, retention.ms=172800000")[0]));
    }

    [Fact]
    public async Task Errors_of_the_installation_are_under_the_names_of_its_arguments()
    {
        var (code, output, errors) = await InstallAsync("--to", "kafka", "--partitions=0", "--security=sasl", "--flows=a/b");

        Assert.Equal((2, ""), (code, output));
        Assert.Contains("--partitions: '0' is not a whole number from 1 to 10000.", errors, StringComparison.Ordinal);
        Assert.Contains("--security: 'sasl' is not one of plaintext, tls, sasl-plaintext, sasl-tls.", errors, StringComparison.Ordinal);
        Assert.Contains("--flows: 'a/b' is not the name of a topic", errors, StringComparison.Ordinal);
        Assert.Contains("--brokers: is not set", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_topic_of_a_dry_run_has_a_name_that_a_topic_can_have()
    {
        var (code, output, errors) = await InstallAsync("--to=kafka", "--dry-run", "--flows=a b", "--detections=.", "--matrix=é/..", "--counts=counts");

        Assert.Equal((2, ""), (code, output));
        Assert.Equal(["--detections: '.'", "--flows: 'a b'", "--matrix: 'é/..'"], errors.Trim().Split('\n').Select(error => error.Split(" is not the name of a topic")[0]).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("--flows=podnet.matrix", "--flows, --matrix")]
    [InlineData("--counts=podnet.detections", "--detections, --counts")]
    public async Task Two_topics_of_an_installation_have_two_names(string argument, string names)
    {
        var (code, output, errors) = await InstallAsync("--to=kafka", "--dry-run", argument);

        Assert.Equal((2, ""), (code, output));
        Assert.Equal($"{names}: are the same topic, '{argument.Split('=')[1]}'; give each a name of its own.\n", errors);
    }

    [Theory]
    [InlineData("--to: give elasticsearch, opensearch or kafka.")]
    [InlineData("--to: 'Kafka' is not one of elasticsearch, opensearch, kafka.", "--to=Kafka", "--url=http://a")]
    public async Task An_installation_offers_all_that_it_can_install(string error, params string[] arguments)
    {
        var (code, _, errors) = await InstallAsync(arguments);

        Assert.Equal(2, code);
        Assert.Contains(error, errors.Split('\n'));
    }

    [Theory]
    [InlineData("install", "--to=kafka")]
    [InlineData("install", "--to=kafka", "--brokers=,")]
    [InlineData("verify", "--from=podnet.flows", "--brokers=,")]
    public async Task A_command_without_brokers_asks_for_its_argument(params string[] arguments)
    {
        using var errors = new StringWriter();

        Assert.Equal(2, await FlowsCommand.RunAsync(arguments, TextWriter.Null, errors));
        Assert.Equal("--brokers: is not set; give at least one, like kafka-0.example:9092.\n", errors.ToString());
    }

    private static async Task<(int Code, string Output, string Errors)> InstallAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        return (await FlowsCommand.RunAsync(["install", .. arguments], output, errors), output.ToString(), errors.ToString());
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static List<(string Key, string? Value)> Token(string url) =>
        [("Kafka:Brokers", "a:9092"), ("Kafka:Security", "sasl-plaintext"), ("Kafka:SaslMechanism", "OAUTHBEARER"), ("Kafka:Properties", $"sasl.oauthbearer.token.endpoint.url={url}")];

    private static KafkaOptions Read(params (string Key, string? Value)[] settings)
    {
        var reader = TestOptions.Reader(settings);
        var options = KafkaOptions.Read(reader);
        KafkaSettings.Check(options, reader);
        Assert.Empty(reader.Errors);
        return options;
    }

    private static IReadOnlyList<string> ErrorsOf(params (string Key, string? Value)[] settings) => TestOptions.ErrorsOf([("Export:Sinks", "kafka"), .. settings]);
}
