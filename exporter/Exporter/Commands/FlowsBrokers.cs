using Exporter.Export;
using Exporter.Export.Kafka;
using Exporter.Options;

namespace Exporter.Commands;

/// <summary>The arguments that say how brokers are reached. Each is an option of the sink, under another name.</summary>
internal static class FlowsBrokers
{
    private static readonly IReadOnlyList<(FlowsArgument Argument, string Key)> Options =
    [
        (new("--brokers", "HOST:PORT,...", "The brokers that are asked first for all others."), KafkaOptions.BrokersKey),
        (new("--security", "WAY", "plaintext, tls, sasl-plaintext or sasl-tls, as Kafka:Security."), KafkaOptions.SecurityKey),
        (new("--sasl-mechanism", "NAME", "As Kafka:SaslMechanism."), KafkaOptions.MechanismKey),
        (new("--user-file", "FILE", "As Kafka:UserFile; its rights need not be the exporter's."), KafkaOptions.UserFileKey),
        (new("--password-file", "FILE", "As Kafka:PasswordFile."), KafkaOptions.PasswordFileKey),
        (new("--ca-file", "FILE", "As Kafka:CaFile."), KafkaOptions.CaFileKey),
        (new("--certificate-file", "FILE", "As Kafka:CertificateFile."), KafkaOptions.CertificateFileKey),
        (new("--key-file", "FILE", "As Kafka:KeyFile."), KafkaOptions.KeyFileKey),
        (new("--properties", "NAME=VALUE;...", "As Kafka:Properties."), KafkaOptions.PropertiesKey),
    ];

    internal static IReadOnlyList<FlowsArgument> Arguments { get; } = [.. Options.Select(option => option.Argument)];

    /// <summary>The argument without which no broker can be asked.</summary>
    internal static FlowsArgument Brokers => Options[0].Argument;

    /// <summary>Reads the options as the exporter does. Their errors are added to those of the arguments, under the arguments' names.</summary>
    /// <param name="named">The argument that has the topic.</param>
    /// <param name="isDry">No broker is asked, so none has to be given.</param>
    internal static KafkaOptions Read(FlowsArguments arguments, FlowsArgument named, string topic, bool isDry)
    {
        var settings = Options.Select(option => KeyValuePair.Create(option.Key, arguments.Text(option.Argument))).Append(new(KafkaOptions.TopicKey, topic));
        var reader = new OptionReader(new ConfigurationBuilder().AddInMemoryCollection(settings.Where(setting => setting.Value is not null)).Build());
        var options = KafkaOptions.Read(reader);
        if (!isDry || options.Brokers.Count > 0)
        {
            KafkaSettings.Check(options, reader);
        }
        arguments.Require(
            isDry || options.Brokers.Count > 0 || reader.IsRefused(KafkaOptions.BrokersKey), $"{Brokers.Name}: is not set; give at least one, like kafka-0.example:9092.");
        foreach (var error in reader.Errors)
        {
            arguments.Refuse(Options.Append((named, KafkaOptions.TopicKey)).Aggregate(error, (text, option) => text.Replace(option.Item2, option.Item1.Name, StringComparison.Ordinal)));
        }
        return options;
    }
}
