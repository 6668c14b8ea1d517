using System.Globalization;
using Exporter.Export;
using Exporter.Export.Kafka;

namespace Exporter.Commands;

/// <summary>podnet-exporter flows install --to=kafka: the topics that records and the jobs' results go to.</summary>
internal static class FlowsInstallKafka
{
    /// <summary>The value of --to.</summary>
    internal const string Kafka = "kafka";

    private static readonly FlowsArgument To = new("--to", Kafka, "Where to install: kafka makes topics.");
    private static readonly FlowsArgument DryRun = new("--dry-run", "", "Prints what would be made, and asks no broker.");
    private static readonly FlowsArgument Flows = new("--flows", "TOPIC", "The topic of records, podnet.flows.");
    private static readonly FlowsArgument Detections = new("--detections", "TOPIC", "The topic of the jobs' detections, podnet.detections.");
    private static readonly FlowsArgument Matrix = new("--matrix", "TOPIC", "The topic of the jobs' matrix, podnet.matrix.");
    private static readonly FlowsArgument Counts = new("--counts", "TOPIC", "The topic of what the jobs count beside, podnet.counts.");
    private static readonly FlowsArgument Partitions = new("--partitions", "NUMBER", "Partitions of each new topic, 12.");
    private static readonly FlowsArgument Replication = new("--replication", "NUMBER", "Replicas of each partition; without it as the brokers' default has it.");
    private static readonly FlowsArgument Retention = new("--retention", "DAYS", "How long the brokers keep records of new topics, 1 day.");

    internal static IReadOnlyList<FlowsArgument> Arguments { get; } =
        [To, DryRun, .. FlowsBrokers.Arguments, Flows, Detections, Matrix, Counts, Partitions, Replication, Retention];

    /// <summary>Whether arguments of <c>flows install</c> are for this command.</summary>
    internal static bool IsMeant(IReadOnlyList<string> typed) =>
        typed.Any(argument => argument == $"--to={Kafka}") || typed.Zip(typed.Skip(1)).Any(pair => pair is ("--to", Kafka));

    internal static async Task<int> RunAsync(ReadOnlyMemory<string> typed, TextWriter output, TextWriter errors)
    {
        var arguments = new FlowsArguments("flows install --to=kafka", Arguments, typed.Span);
        var partitions = arguments.Read(Partitions, 12, text => Number(text, 10_000));
        var replication = (short)arguments.Read(Replication, -1, text => Number(text, 100));
        var retention = TimeSpan.FromDays(arguments.Read(Retention, 1, text => Number(text, 3650)));
        KafkaTopic[] topics =
        [
            .. from topic in ((FlowsArgument Argument, string Name)[])[(Flows, "podnet.flows"), (Detections, "podnet.detections"), (Matrix, "podnet.matrix"), (Counts, "podnet.counts")]
               select new KafkaTopic(arguments.Read(topic.Argument, topic.Name, KafkaOptions.ParseTopic), partitions, replication, retention),
        ];
        foreach (var same in topics.Zip((FlowsArgument[])[Flows, Detections, Matrix, Counts]).GroupBy(topic => topic.First.Name, topic => topic.Second.Name).Where(same => same.Count() > 1))
        {
            arguments.Refuse($"{string.Join(", ", same)}: are the same topic, '{same.Key}'; give each a name of its own.");
        }
        var options = FlowsBrokers.Read(arguments, Flows, topics[0].Name, arguments.Has(DryRun));
        if (arguments.PrintErrors(errors))
        {
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

    private static string Replicas(KafkaTopic topic) => topic.Replication < 0 ? "replicas as the brokers' default" : FormattableString.Invariant($"{topic.Replication} replicas");

    private static int Number(string text, int most) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= 1 && number <= most
        ? number
        : throw new FormatException($"is not a whole number from 1 to {most}");
}
