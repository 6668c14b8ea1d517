using System.Globalization;
using System.Text.RegularExpressions;
using Exporter.Options;

namespace Exporter.Export;

/// <summary>The options of the sink kafka. What they name, as files and properties of the client, is checked where the sink is in use.</summary>
/// <param name="Brokers">HOST:PORT of each; empty: not set.</param>
/// <param name="SaslMechanism">In the protocol's spelling.</param>
/// <param name="UserFile">The path of the file with the user's name; empty: not set. So are the paths that follow.</param>
/// <param name="Properties">Of librdkafka, as name=value.</param>
internal sealed partial record KafkaOptions(
    IReadOnlyList<string> Brokers,
    string Topic,
    KafkaCompression Compression,
    KafkaSecurity Security,
    string SaslMechanism,
    string UserFile,
    string PasswordFile,
    string CaFile,
    string CertificateFile,
    string KeyFile,
    IReadOnlyList<string> Properties)
{
    internal const string SinkName = "kafka";
    internal const string BrokersKey = "Kafka:Brokers";
    internal const string TopicKey = "Kafka:Topic";
    internal const string UserFileKey = "Kafka:UserFile";
    internal const string PasswordFileKey = "Kafka:PasswordFile";
    internal const string CaFileKey = "Kafka:CaFile";
    internal const string CertificateFileKey = "Kafka:CertificateFile";
    internal const string KeyFileKey = "Kafka:KeyFile";
    internal const string PropertiesKey = "Kafka:Properties";
    internal const string SecurityKey = "Kafka:Security";
    internal const string MechanismKey = "Kafka:SaslMechanism";

    private const string DefaultTopic = "podnet.flows";
    private const string SomeFile = "a path";

    private static readonly string[] Mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

    internal bool IsTls => Security is KafkaSecurity.Tls or KafkaSecurity.SaslTls;

    internal bool IsSasl => Security is KafkaSecurity.SaslPlaintext or KafkaSecurity.SaslTls;

    /// <summary>The files that are set, with their options.</summary>
    internal IEnumerable<(string Key, string Path)> Files => new[]
    {
        (UserFileKey, UserFile), (PasswordFileKey, PasswordFile), (CaFileKey, CaFile), (CertificateFileKey, CertificateFile), (KeyFileKey, KeyFile),
    }.Where(file => file.Item2.Length > 0);

    internal static KafkaOptions Read(OptionReader reader)
    {
        var options = new KafkaOptions(
            reader.List(
                BrokersKey, "", "HOST:PORT, separated by commas", "The brokers that the sink kafka asks first for all others.",
                OptionReader.TextOrArray("""{"type": "string"}""", """{"type": "array", "items": {"type": "string"}}"""), ParseBrokers),
            reader.List(
                TopicKey, DefaultTopic, "letters, digits, '.', '_' and '-'", "The topic that records go to; 'podnet-exporter flows install --to=kafka' makes it.",
                """{"type": ["string", "null"], "pattern": "^[A-Za-z0-9._-]{1,249}$"}""", ParseTopic),
            reader.Choice("Kafka:Compression", KafkaCompression.Lz4, "How records are compressed on their way to the brokers, and there."),
            reader.Choice(SecurityKey, KafkaSecurity.Plaintext, "How the brokers are spoken to: with TLS, and with SASL, which asks for a user and a password."),
            reader.List(
                MechanismKey, "SCRAM-SHA-512", string.Join(", ", Mechanisms), "How the user is authenticated with SASL. With OAUTHBEARER the user is the client's id, the password its secret, and Kafka:Properties names the token endpoint.",
                """{"enum": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", null]}""", ParseMechanism),
            reader.AbsolutePath(UserFileKey, SomeFile, "A file with the user's name for SASL; read again when it changes, as are the files below."),
            reader.AbsolutePath(PasswordFileKey, SomeFile, "A file with the password for SASL."),
            reader.AbsolutePath(CaFileKey, SomeFile, "A file with the authorities, in PEM, that the brokers' certificates are verified with; empty: the system's, which the image does not have."),
            reader.AbsolutePath(CertificateFileKey, SomeFile, "A file with the client's certificate and its intermediate certificates, in PEM; empty: the client shows none."),
            reader.AbsolutePath(KeyFileKey, SomeFile, "A file with the private key of that certificate, in PEM, without a password."),
            reader.List(
                PropertiesKey, "", "name=value, separated by semicolons", "Properties of librdkafka that other options do not set; its CONFIGURATION.md lists them.",
                OptionReader.TextOrArray("""{"type": "string"}""", """{"type": "array", "items": {"type": "string"}}"""), parts => parts));
        options.RequireWhole(reader);
        return options;
    }

    /// <summary>Each file has to be of use with the others.</summary>
    private void RequireWhole(OptionReader reader)
    {
        reader.Require(IsTls || CaFile.Length + CertificateFile.Length + KeyFile.Length == 0, SecurityKey, "is without TLS, and files for TLS are set; set it to tls or sasl-tls, or remove the files");
        reader.Require(IsSasl || UserFile.Length + PasswordFile.Length == 0, SecurityKey, "is without SASL, and files for SASL are set; set it to sasl-tls or sasl-plaintext, or remove the files");
        reader.Require(
            !IsSasl || SaslMechanism == "OAUTHBEARER" || (UserFile.Length > 0 && PasswordFile.Length > 0), SecurityKey, $"is with SASL; set {UserFileKey} and {PasswordFileKey} too");
        reader.Require(CertificateFile.Length > 0 == KeyFile.Length > 0, CertificateFileKey, $"and {KeyFileKey} go together; set both or none");
    }

    private static string[] ParseBrokers(IReadOnlyList<string> parts)
    {
        string[] brokers = [.. OptionReader.AtCommas(parts)];
        return brokers.FirstOrDefault(broker => Broker().Match(broker) is not { Success: true } match
            || int.Parse(match.Groups["port"].ValueSpan, CultureInfo.InvariantCulture) is 0 or > ushort.MaxValue) is { } wrong
            ? throw new FormatException($"has '{wrong}', which is not HOST:PORT; write kafka-0.example:9092, IPv6 in brackets")
            : brokers;
    }

    private static string ParseTopic(IReadOnlyList<string> parts) => ParseTopic(string.Join(';', parts));

    /// <summary>Reads the name of a topic.</summary>
    /// <exception cref="FormatException">It is not such a name.</exception>
    internal static string ParseTopic(string topic) =>
        TopicName().IsMatch(topic) && topic is not "." and not ".."
            ? topic
            : throw new FormatException($"is not the name of a topic; it has 1 to 249 letters, digits, '.', '_' and '-', like {DefaultTopic}");

    private static string ParseMechanism(IReadOnlyList<string> parts) =>
        Mechanisms.FirstOrDefault(mechanism => parts is [var part] && part.Equals(mechanism, StringComparison.OrdinalIgnoreCase))
            ?? throw new FormatException($"is not one of {string.Join(", ", Mechanisms)}");

    [GeneratedRegex(@"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?<port>[0-9]{1,5})$", RegexOptions.CultureInvariant)]
    private static partial Regex Broker();

    [GeneratedRegex("^[A-Za-z0-9._-]{1,249}$", RegexOptions.CultureInvariant)]
    private static partial Regex TopicName();
}
