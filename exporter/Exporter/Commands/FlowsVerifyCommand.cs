using Exporter.Export;
using Exporter.Export.Kafka;
using Exporter.Verification;

namespace Exporter.Commands;

/// <summary>podnet-exporter flows verify: whether anyone's records, in files or in a topic, add up.</summary>
internal static class FlowsVerifyCommand
{
    /// <summary>The name of standard input among files.</summary>
    private const string StandardInput = "-";

    private static readonly FlowsArgument From = new("--from", "FILE|TOPIC", "JSON lines of one sink, - for standard input; rotated files in any order. With --brokers a topic.", IsRepeated: true);
    private static readonly FlowsArgument Metrics = new("--metrics", "FILE|URL", "A saved scrape, or the address of an exporter: the records are all since its first start.");
    private static readonly FlowsArgument Before = new("--metrics-before", "FILE|URL", "The scrape from before the first record.");
    private static readonly FlowsArgument After = new("--metrics-after", "FILE|URL", "The scrape from after the last record.");

    /// <summary>Brokers have --user-file and --ca-file.</summary>
    private static readonly FlowsAccess Access = FlowsAccess.Create("metrics-");

    internal static IReadOnlyList<FlowsArgument> Arguments { get; } = [From, Metrics, Before, After, .. Access.Arguments, .. FlowsBrokers.Arguments];

    /// <param name="output">The table and the result.</param>
    /// <param name="errors">Why there is no result.</param>
    /// <param name="handler">Null: the network's.</param>
    internal static async Task<int> RunAsync(
        ReadOnlyMemory<string> typed, TextWriter output, TextWriter errors, HttpMessageHandler? handler, CancellationToken cancellationToken)
    {
        var arguments = new FlowsArguments("flows verify", Arguments, typed.Span);
        var (sources, hasBrokers) = (arguments.All(From), arguments.Has(FlowsBrokers.Brokers));
        IReadOnlyList<string> files = hasBrokers ? [] : sources;
        arguments.Require(sources.Count > 0, "--from: give at least one file of records, - for standard input, or with --brokers a topic.");
        arguments.Require(!hasBrokers || sources.Count < 2, "--from: one topic can be verified.");
        arguments.Require(files.Count(file => file == StandardInput) < 2, "--from: standard input can be read once.");
        foreach (var argument in FlowsBrokers.Arguments.Where(argument => arguments.Has(argument)))
        {
            arguments.Require(hasBrokers, $"{argument.Name}: is of use with {FlowsBrokers.Brokers.Name} alone.");
        }
        arguments.Require(!arguments.Has(Metrics) || !(arguments.Has(Before) || arguments.Has(After)), "--metrics: give it alone, or --metrics-before and --metrics-after.");
        arguments.Require(arguments.Has(Before) == arguments.Has(After), "--metrics-before, --metrics-after: give both.");
        CheckSources(arguments, files);
        var topic = hasBrokers && sources is [var name] ? FlowsBrokers.Read(arguments, From, name, isDry: false) : null;
        if (arguments.PrintErrors(errors))
        {
            return ExitCode.BadOptions;
        }
        try
        {
            var result = topic is null ? await VerifyAsync(files, cancellationToken) : VerifyTopic(topic, cancellationToken);
            using var client = new FlowsClient(Access, arguments, handler);
            var comparison = (arguments.Text(After) ?? arguments.Text(Metrics)) is { } after
                ? CounterComparison.Create(result.Sums, await CountersOf(client, arguments.Text(Before), cancellationToken), await CountersOf(client, after, cancellationToken))
                : null;
            FlowsVerifyText.Write(result, comparison, output);
            return result.IsRight && comparison is null or { Problems.Count: 0 } ? ExitCode.Success : ExitCode.Failure;
        }
        catch (Exception e) when (e is FlowsException or SinkException or IOException or UnauthorizedAccessException)
        {
            errors.WriteLine(e.Message);
            return ExitCode.Failure;
        }
    }

    /// <summary>Adds an error for each file that is not there, and for each address that is none.</summary>
    private static void CheckSources(FlowsArguments arguments, IReadOnlyList<string> files)
    {
        FlowsArgument[] scrapes = [Metrics, Before, After];
        foreach (var file in files.Where(file => file != StandardInput).Concat(scrapes.SelectMany(arguments.All).Where(source => !IsUrl(source))))
        {
            arguments.Require(File.Exists(file), $"{file}: there is no such file.");
        }
        var urls = scrapes.Select(scrape => arguments.Read<Uri?>(scrape, null, text => IsUrl(text) ? Access.ParseUrl(text) : null));
        Access.Check(arguments, [.. urls.OfType<Uri>()]);
    }

    private static async Task<VerificationResult> VerifyAsync(IReadOnlyList<string> files, CancellationToken cancellationToken)
    {
        var verifier = new Verifier();
        foreach (var file in files)
        {
            await using var stream = file == StandardInput ? Console.OpenStandardInput() : File.OpenRead(file);
            await verifier.ReadAsync(NameOf(file), stream, cancellationToken);
        }
        var result = verifier.Finish();
        if (!result.IsRight || !result.Totals.HasNone)
        {
            return result;
        }
        var nothing = new Findings(most: 1);
        nothing.Add($"no record is in {string.Join(", ", files.Select(NameOf))}: are these the files of a sink?");
        return result with { Problems = [.. result.Problems, nothing] };
    }

    private static string NameOf(string file) => file == StandardInput ? "standard input" : file;

    private static VerificationResult VerifyTopic(KafkaOptions topic, CancellationToken cancellationToken)
    {
        var verifier = new Verifier();
        var (from, until) = KafkaTopicReader.ReadAll(topic, message => verifier.Take(message.Partition, message.Offset, message.Value.Span, message.Appended), cancellationToken);
        return verifier.Finish(new WholeSpan(from, until));
    }

    /// <param name="source">A file or an address; null: there are no counts yet.</param>
    /// <exception cref="FlowsException">It is not a scrape of an exporter, or there is no answer.</exception>
    private static async Task<PodCounters> CountersOf(FlowsClient client, string? source, CancellationToken cancellationToken)
    {
        if (source is null)
        {
            return PodCounters.None;
        }
        try
        {
            if (!IsUrl(source))
            {
                await using var file = File.OpenRead(source);
                return await PodCounters.ReadAsync(file, cancellationToken);
            }
            var url = FlowsClient.PageOf(Access.ParseUrl(source), "/metrics");
            await using var body = await client.GetAsync(url, "text/plain", "give the address of an exporter, like http://localhost:9969", cancellationToken);
            return await PodCounters.ReadAsync(body, cancellationToken);
        }
        catch (FormatException e)
        {
            throw new FlowsException($"{source}: {e.Message}", e);
        }
    }

    private static bool IsUrl(string text) => text.StartsWith("http://", StringComparison.OrdinalIgnoreCase) || text.StartsWith("https://", StringComparison.OrdinalIgnoreCase);
}
