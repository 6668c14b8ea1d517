using System.Text.RegularExpressions;
using Exporter.Options;

namespace Exporter.Export.Kafka;

/// <summary>The properties of Kafka:Properties: which of them can be set, and their names. Each is a property of librdkafka's CONFIGURATION.md.</summary>
internal static partial class KafkaProperties
{
    /// <summary>Properties that other options set, or that the sink relies on, with the option to use in their place; empty: none.</summary>
    private static readonly Dictionary<string, string> Refused = new(StringComparer.Ordinal)
    {
        ["bootstrap.servers"] = KafkaOptions.BrokersKey,
        ["metadata.broker.list"] = KafkaOptions.BrokersKey,
        ["security.protocol"] = KafkaOptions.SecurityKey,
        ["sasl.mechanisms"] = KafkaOptions.MechanismKey,
        ["sasl.mechanism"] = KafkaOptions.MechanismKey,
        ["sasl.username"] = KafkaOptions.UserFileKey,
        ["sasl.oauthbearer.client.id"] = KafkaOptions.UserFileKey,
        ["sasl.oauthbearer.client.credentials.client.id"] = KafkaOptions.UserFileKey,
        ["sasl.password"] = KafkaOptions.PasswordFileKey,
        ["sasl.oauthbearer.client.secret"] = KafkaOptions.PasswordFileKey,
        ["sasl.oauthbearer.client.credentials.client.secret"] = KafkaOptions.PasswordFileKey,
        ["ssl.ca.location"] = KafkaOptions.CaFileKey,
        ["ssl.certificate.location"] = KafkaOptions.CertificateFileKey,
        ["ssl.key.location"] = KafkaOptions.KeyFileKey,
        ["ssl.key.pem"] = KafkaOptions.KeyFileKey,
        ["compression.codec"] = "Kafka:Compression",
        ["compression.type"] = "Kafka:Compression",
        ["delivery.report.only.error"] = "",
        ["transactional.id"] = "",
    };

    /// <summary>What the client and the tests of the client have for themselves: such brokers, as test.mock.num.brokers has, keep nothing.</summary>
    private static readonly string[] RefusedBeginnings = ["dotnet.", "test."];

    /// <summary>Other names of properties that have a default here, with the name that is used here. The client takes the later one of both.</summary>
    private static readonly Dictionary<string, string> Aliases = new(StringComparer.Ordinal)
    {
        ["queue.buffering.max.ms"] = "linger.ms",
        ["delivery.timeout.ms"] = "message.timeout.ms",
        ["request.required.acks"] = "acks",
    };

    /// <summary>The properties as they are written.</summary>
    internal static IEnumerable<(string Name, string Value)> Read(KafkaOptions options) => options.Properties.Select(Split);

    /// <summary>The name under which a property is set.</summary>
    internal static string NameOf(string name) => Aliases.GetValueOrDefault(name, name);

    /// <summary>Refuses properties that are not the user's. Values are not repeated in errors: some are secrets.</summary>
    internal static void Check(KafkaOptions options, OptionReader reader)
    {
        foreach (var (property, i) in options.Properties.Select((property, i) => (property, i)))
        {
            var (name, value) = Split(property);
            if (!property.Contains('=', StringComparison.Ordinal) || name.Length == 0)
            {
                reader.Refuse(KafkaOptions.PropertiesKey, $"part {i + 1} is not name=value; write linger.ms=50;acks=all");
            }
            else if (Refused.TryGetValue(name, out var instead) || RefusedBeginnings.Any(beginning => name.StartsWith(beginning, StringComparison.Ordinal)))
            {
                reader.Refuse(KafkaOptions.PropertiesKey, string.IsNullOrEmpty(instead) ? $"{name} cannot be set: the sink relies on it" : $"{name} is set by {instead}; use that option");
            }
            else if (NameOf(name) == "acks" && Zero().IsMatch(value))
            {
                reader.Refuse(KafkaOptions.PropertiesKey, $"{name} cannot be 0: brokers would not answer, and records that they never got would count as acknowledged; write acks=all, or acks=1 with enable.idempotence=false");
            }
        }
    }

    /// <summary>The options that a refusal of the client is about: it names properties, which may be of other options.</summary>
    internal static IEnumerable<string> OptionsAtFault(Exception refusal, KafkaOptions options)
    {
        if (refusal is DllNotFoundException or TypeInitializationException)
        {
            // Without brokers there would be no need of a client.
            return [KafkaOptions.BrokersKey];
        }
        var named = Refused.Where(property => property.Value.Length > 0 && refusal.Message.Contains(property.Key, StringComparison.Ordinal)).Select(property => property.Value).ToHashSet(StringComparer.Ordinal);
        if (refusal.Message.Contains("key values mismatch", StringComparison.Ordinal))
        {
            named.Add(KafkaOptions.CertificateFileKey);
        }
        return named.Count > 0 ? named
            : options.Properties.Count > 0 || refusal.Message.Contains("sasl.oauthbearer.", StringComparison.Ordinal) ? [KafkaOptions.PropertiesKey]
            : [KafkaOptions.SecurityKey];
    }

    private static (string Name, string Value) Split(string property) => property.Split('=', 2, StringSplitOptions.TrimEntries) is [var name, var value] ? (name, value) : (property, "");

    /// <summary>As the client reads numbers.</summary>
    [GeneratedRegex("^[+-]?(0[xX])?0+$", RegexOptions.CultureInvariant)]
    private static partial Regex Zero();
}
