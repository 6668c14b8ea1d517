using System.Globalization;
using Exporter.Export;
using Exporter.Export.Kafka;
using Exporter.Options;

namespace Exporter.Commands;

/// <summary>podnet-exporter flows install --to=kafka: the topics that records and the jobs' results go to.</summary>
internal static class FlowsInstallKafka
{
    private static readonly FlowsArgument To = new("--to", "kafka", "Where to install: kafka makes topics.");
    private static readonly FlowsArgument DryRun = new("--dry-run", "", "Prints what would be made, and asks no broker.");
    private static readonly FlowsArgument Flows = new("--flows", "TOPIC", "The topic of records, podnet.flows.");
    private static readonly FlowsArgument Detections = new("--detections", "TOPIC", "The topic of the jobs' detections, podnet.detections.");
    private static readonly FlowsArgument Matrix = new("--matrix", "TOPIC", "The topic of the jobs' matrix, podnet.matrix.");
    private static readonly FlowsArgument Partitions = new("--partitions", "NUMBER", "Partitions of each new topic, 12.");
    private static readonly FlowsArgument Replication = new("--replication", "NUMBER", "Replicas of each partition; without it as the brokers' default has it.");
    private static readonly FlowsArgument Retention = new("--retention", "DAYS", "How long the brokers keep records of new topics, 1 day.");

    /// <summary>Arguments that are options of the sink, which the exporter reads by these keys.</summary>
    private static readonly IReadOnlyList<(FlowsArgument Argument, string Key)> Options =
    [
        (new("--brokers", "HOST:PORT,...", "The brokers that are asked first for all others."), KafkaOptions.BrokersKey),
        (new("--security", "WAY", "plaintext, tls, sasl-plaintext or sasl-tls, as Kafka:Security."), KafkaOptions.SecurityKey),
        (new("--sasl-mechanism", "NAME", "As Kafka:SaslMechanism."), KafkaOptions.MechanismKey),
        (new("--user-file", "FILE", "As Kafka:UserFile; this user may need other rights than the exporter's."), KafkaOptions.UserFileKey),
        (new("--password-file", "FILE", "As Kafka:PasswordFile."), KafkaOptions.PasswordFileKey),
        (new("--ca-file", "FILE", "As Kafka:CaFile."), KafkaOptions.CaFileKey),
        (new("--certificate-file", "FILE", "As Kafka:CertificateFile."), KafkaOptions.CertificateFileKey),
        (new("--key-file", "FILE", "As Kafka:KeyFile."), KafkaOptions.KeyFileKey),
        (new("--properties", "NAME=VALUE;...", "As Kafka:Properties."), KafkaOptions.PropertiesKey),
    ];

    internal static IReadOnlyList<FlowsArgument> Arguments { get; } =
        [To, DryRun, .. Options.Select(option => option.Argument), Flows, Detections, Matrix, Partitions, Replication, Retention];

    /// <summary>Whether arguments of <c>flows install</c> are for this command.</summary>
    internal static bool IsMeant(IReadOnlyList<string> typed) =>
        typed.Any(argument => argument == "--to=kafka") || typed.Zip(typed.Skip(1)).Any(pair => pair is ("--to", "kafka"));

    internal static async Task<int> RunAsync(ReadOnlyMemory<string> typed, TextWriter output, TextWriter errors)
    {
        var arguments = new FlowsArguments("flows install --to=kafka", Arguments, typed.Span);
        var partitions = arguments.Read(Partitions, 12, text => Number(text, 10_000));
        var replication = (short)arguments.Read(Replication, -1, text => Number(text, 100));
        var retention = TimeSpan.FromDays(arguments.Read(Retention, 1, text => Number(text, 3650)));
        KafkaTopic[] topics =
        [
            .. new[] { arguments.Text(Flows) ?? "podnet.flows", arguments.Text(Detections) ?? "podnet.detections", arguments.Text(Matrix) ?? "podnet.matrix" }
                .Select(name => new KafkaTopic(name, partitions, replication, retention)),
        ];
        var options = ReadOptions(arguments, topics[0].Name, arguments.Has(DryRun), out var problems);
        problems = [.. arguments.Errors, .. problems];
        if (problems.Count > 0)
        {
            errors.WriteLine(string.Join(Environment.NewLine, problems));
            return ExitCode.BadOptions;
        }
        if (arguments.Has(DryRun))
        {
            foreach (var topic in topics)
            {
                var settings = KafkaTopics.SettingsOf(topic).Select(setting => $"{setting.Key}={setting.Value}");
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{topic.Name}: {topic.Partitions} partitions, {Replicas(topic)}, {string.Join(", ", settings)}"));
            }
            return ExitCode.Success;
        }
        try
        {
            await KafkaTopics.InstallAsync(options, topics, output.WriteLine);
            return ExitCode.Success;
        }
        catch (SinkException e)
        {
            errors.WriteLine(e.Message);
            return ExitCode.Failure;
        }
    }

    /// <summary>Reads the options as the exporter does, with their errors under the arguments' names.</summary>
    private static KafkaOptions ReadOptions(FlowsArguments arguments, string topic, bool isDry, out IReadOnlyList<string> problems)
    {
        var settings = Options.Select(option => KeyValuePair.Create(option.Key, arguments.Text(option.Argument))).Append(new("Kafka:Topic", topic));
        var reader = new OptionReader(new ConfigurationBuilder().AddInMemoryCollection(settings.Where(setting => setting.Value is not null)).Build());
        var options = KafkaOptions.Read(reader);
        if (!isDry || options.Brokers.Count > 0)
        {
            KafkaSettings.Check(options, reader);
        }
        problems = [.. reader.Errors.Select(error => Options.Append((Flows, "Kafka:Topic")).Aggregate(error, (text, option) => text.Replace(option.Item2, option.Item1.Name, StringComparison.Ordinal)))];
        return options;
    }

    private static string Replicas(KafkaTopic topic) => topic.Replication < 0 ? "replicas as the brokers' default" : FormattableString.Invariant($"{topic.Replication} replicas");

    private static int Number(string text, int most) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= 1 && number <= most
        ? number
        : throw new FormatException($"is not a whole number from 1 to {most}");
}
