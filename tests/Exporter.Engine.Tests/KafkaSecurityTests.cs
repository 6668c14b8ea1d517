using Exporter.Engine.Tests.Support;
using Exporter.Export;

namespace Exporter.Engine.Tests;

/// <summary>TLS and SASL with a broker, and secrets that are corrected while the sink runs.</summary>
public sealed class KafkaSecurityTests : IDisposable
{
    private const string User = "podnet";
    private const string Password = "s3cret";
    private const string Credentials = $"[name={User},password={Password}]";
    private const string RefusedUser = "The sink kafka takes no records: the brokers do not accept the user or the password; correct Kafka:UserFile and Kafka:PasswordFile";
    private const string NoTls = "The sink kafka takes no records: no TLS connection to the brokers";

    private readonly BrokerCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Theory]
    [InlineData("PLAIN")]
    [InlineData("SCRAM-SHA-256")]
    [InlineData("SCRAM-SHA-512")]
    public async Task Records_arrive_with_a_user_over_TLS_and_a_wrong_password_can_be_corrected_meanwhile(string mechanism)
    {
        await using var broker = await StartSaslAsync();
        var options = OptionsOf(broker, mechanism) with { PasswordFile = _certificates.Write("password", "wrong\n") };
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(options));
        await stream.IssueAsync(100);
        await stream.SayAsync(RefusedUser);
        // The client tries several times a second; it is said once.
        Assert.Equal(1, stream.CountLines("The Kafka client has trouble with the brokers: ") - stream.CountLines("brokers are down"));
        Assert.Equal(100, stream.CountsOf("kafka").UnderWay);

        _certificates.Write("password", Password + "\n");
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
        Assert.Equal(1, stream.CountLines("A file of the options of Kafka has changed; connecting"));
    }

    [Fact]
    public async Task A_corrected_file_is_used_for_records_that_wait_already()
    {
        await using var broker = await StartSaslAsync();
        var options = OptionsOf(broker, "PLAIN") with { PasswordFile = _certificates.Write("password", "wrong\n"), Properties = ["message.timeout.ms=3600000"] };
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(options));
        await stream.IssueAsync(100);
        await stream.SayAsync("The Kafka client has trouble with the brokers: ");

        _certificates.Write("password", Password + "\n");
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
    }

    [Fact]
    public async Task Records_arrive_with_a_token_that_is_asked_for_and_a_wrong_secret_can_be_corrected_meanwhile()
    {
        await using var broker = await StartSaslAsync();
        using var tokens = new TokenServer(User, Password);
        var options = OptionsOf(broker, "OAUTHBEARER") with
        {
            PasswordFile = _certificates.Write("password", "wrong\n"),
            Properties = [$"sasl.oauthbearer.token.endpoint.url={tokens.Url}", KafkaSinks.Impatient],
        };
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(options));
        await stream.IssueAsync(100);
        await stream.SayAsync(RefusedUser);
        Assert.Equal(100, stream.CountsOf("kafka").UnderWay);

        _certificates.Write("password", Password + "\n");
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
    }

    /// <summary>The broker takes tokens that nobody has signed. They are made by the client itself, as librdkafka does for tests of brokers.</summary>
    [Fact]
    public async Task Records_arrive_with_a_token()
    {
        await using var broker = await StartSaslAsync();
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(OptionsOf(broker, "OAUTHBEARER") with
        {
            UserFile = "",
            PasswordFile = "",
            Properties = ["sasl.oauthbearer.method=default", "enable.sasl.oauthbearer.unsecure.jwt=true", "sasl.oauthbearer.config=principal=podnet", KafkaSinks.Impatient],
        }));
        await stream.IssueAsync(100);
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
    }

    [Fact]
    public async Task Records_arrive_with_a_certificate_of_the_client_and_an_expired_one_can_be_renewed_meanwhile()
    {
        await using var broker = await StartTlsAsync();
        var (certificate, key) = _certificates.SignClient(DateTimeOffset.UtcNow.AddHours(-1));
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(OptionsOfTls(broker) with { CertificateFile = certificate, KeyFile = key }));
        await stream.IssueAsync(100);
        await stream.SayAsync(NoTls);
        // Each attempt is refused, with another time in the client's words.
        await Task.Delay(TimeSpan.FromSeconds(10));
        Assert.Equal(1, stream.CountLines("The sink kafka takes no records"));
        Assert.Equal(100, stream.CountsOf("kafka").UnderWay);

        _certificates.SignClient(DateTimeOffset.UtcNow.AddHours(1));
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
    }

    [Fact]
    public async Task Records_wait_while_the_certificate_of_the_broker_is_of_another_authority_or_expired()
    {
        await using var broker = await StartTlsAsync();
        using var others = new BrokerCertificates();
        var ca = _certificates.Write("trusted.pem", await File.ReadAllTextAsync(others.Authority));
        var (certificate, key) = _certificates.SignClient(DateTimeOffset.UtcNow.AddHours(1));
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(OptionsOfTls(broker) with { CaFile = ca, CertificateFile = certificate, KeyFile = key }));
        await stream.IssueAsync(100);
        await stream.SayAsync(NoTls);
        Assert.NotEqual(0, stream.CountLines("certificate verify failed"));

        _certificates.Write("trusted.pem", await File.ReadAllTextAsync(_certificates.Authority));
        await stream.SettleAsync("kafka");
        await broker.StopAsync();
        _certificates.SignBroker(DateTimeOffset.UtcNow.AddHours(-1));
        await broker.RestartAsync();
        await stream.IssueAsync(100);
        await stream.SayAsync(NoTls, lines: 2);

        await broker.StopAsync();
        _certificates.SignBroker(DateTimeOffset.UtcNow.AddHours(1));
        await broker.RestartAsync();
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
    }

    /// <summary>With users for PLAIN and SCRAM; a token's subject is any.</summary>
    private async Task<KafkaBroker> StartSaslAsync()
    {
        const string Modules = "org.apache.kafka.common.security";
        var properties = _certificates.Properties;
        properties["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER";
        properties["listener.name.clients.plain.sasl.jaas.config"] = $"{Modules}.plain.PlainLoginModule required user_{User}=\"{Password}\";";
        properties["listener.name.clients.scram-sha-256.sasl.jaas.config"] = $"{Modules}.scram.ScramLoginModule required;";
        properties["listener.name.clients.scram-sha-512.sasl.jaas.config"] = $"{Modules}.scram.ScramLoginModule required;";
        properties["listener.name.clients.oauthbearer.sasl.jaas.config"] = $"{Modules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";";
        var broker = await KafkaBroker.StartAsync(
            properties: properties, protocol: "SASL_SSL", formatting: ["--add-scram", $"SCRAM-SHA-256={Credentials}", "--add-scram", $"SCRAM-SHA-512={Credentials}"]);
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions: 4);
        return broker;
    }

    /// <summary>Clients have to show a certificate.</summary>
    private async Task<KafkaBroker> StartTlsAsync()
    {
        var properties = _certificates.Properties;
        properties["ssl.client.auth"] = "required";
        var broker = await KafkaBroker.StartAsync(properties: properties, protocol: "SSL");
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions: 4);
        return broker;
    }

    private KafkaOptions OptionsOf(KafkaBroker broker, string mechanism) => KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient) with
    {
        Security = KafkaSecurity.SaslTls,
        SaslMechanism = mechanism,
        UserFile = _certificates.Write("user", User + "\n"),
        PasswordFile = _certificates.Write("password", Password + "\n"),
        CaFile = _certificates.Authority,
    };

    private KafkaOptions OptionsOfTls(KafkaBroker broker) => KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient) with { Security = KafkaSecurity.Tls, CaFile = _certificates.Authority };
}
