using System.Globalization;
using System.Text;
using Exporter.Export;
using Exporter.Export.Elasticsearch;
using Exporter.Options;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Commands;

/// <summary>podnet-exporter flows install: puts what records need into Elasticsearch or OpenSearch.</summary>
internal static class FlowsInstallCommand
{
    private const string Elasticsearch = "elasticsearch";
    private const string OpenSearch = "opensearch";
    private const int DefaultDays = 14;
    private const int MaxDays = 3650;

    private static readonly FlowsArgument To = new("--to", $"{Elasticsearch}|{OpenSearch}", "The kind of the servers: their lifecycles differ.");
    private static readonly FlowsArgument Url = new("--url", "URL", "A server's address, as https://elasticsearch:9200; further ones are tried in turn.", IsRepeated: true);
    private static readonly FlowsArgument Index = new("--index", "NAME", $"As Elasticsearch:Index; {ElasticsearchOptions.DefaultIndex} if it is not given.");
    private static readonly FlowsArgument Keep = new("--keep", "DAYS", FormattableString.Invariant($"The age at which daily indices are deleted; {DefaultDays} if it is not given."));
    private static readonly FlowsArgument NoLifecycle = new("--no-lifecycle", "", "Puts no lifecycle: another program deletes old indices.");
    private static readonly FlowsArgument UserFile = new("--user-file", "FILE", "The name of a user who may manage templates and lifecycles.");
    private static readonly FlowsArgument PasswordFile = new("--password-file", "FILE", "The user's password.");
    private static readonly FlowsArgument ApiKeyFile = new("--api-key-file", "FILE", "An API key in place of a user and a password.");
    private static readonly FlowsArgument CaFile = new("--ca-file", "FILE", "The authorities, in PEM, that certificates of servers are trusted by; the machine's if it is not given.");
    private static readonly FlowsArgument DryRun = new("--dry-run", "", "Prints the requests and sends none.");

    private static readonly IReadOnlyList<(string Key, FlowsArgument Argument)> Options =
    [
        (ElasticsearchOptions.UrlsKey, Url),
        (ElasticsearchOptions.UserFileKey, UserFile),
        (ElasticsearchOptions.PasswordFileKey, PasswordFile),
        (ElasticsearchOptions.ApiKeyFileKey, ApiKeyFile),
        (ElasticsearchOptions.CaFileKey, CaFile),
    ];

    internal static IReadOnlyList<FlowsArgument> Arguments { get; } = [To, Url, Index, Keep, NoLifecycle, UserFile, PasswordFile, ApiKeyFile, CaFile, DryRun];

    /// <param name="output">The requests, or what was done.</param>
    /// <param name="errors">Why it was not done.</param>
    internal static async Task<int> RunAsync(ReadOnlyMemory<string> typed, TextWriter output, TextWriter errors, CancellationToken cancellationToken)
    {
        var arguments = new FlowsArguments("flows install", Arguments, typed.Span);
        arguments.Require(arguments.Has(To), $"--to: give {Elasticsearch}, {OpenSearch} or {FlowsInstallKafka.Kafka}.");
        var isOpenSearch = arguments.Read(To, false, text => text switch
        {
            Elasticsearch => false,
            OpenSearch => true,
            _ => throw new FormatException($"is not one of {Elasticsearch}, {OpenSearch}, {FlowsInstallKafka.Kafka}"),
        });
        var days = arguments.Read(Keep, DefaultDays, text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= MaxDays
            ? number
            : throw new FormatException(FormattableString.Invariant($"is not a number of days from 1 to {MaxDays}")));
        var options = ReadOptions(arguments);
        if (arguments.PrintErrors(errors))
        {
            return ExitCode.BadOptions;
        }
        var steps = InstallStep.Plan(options.Index, isOpenSearch, arguments.Has(NoLifecycle) ? null : days);
        if (arguments.Has(DryRun))
        {
            foreach (var step in steps)
            {
                output.WriteLine($"PUT {step.Path}");
                output.WriteLine(Encoding.UTF8.GetString(step.Body));
                output.WriteLine();
            }
            return ExitCode.Success;
        }
        try
        {
            using var servers = new ServerConnection(options, TimeProvider.System, NullLogger.Instance);
            await new Installation(servers, output).RunAsync(steps, isOpenSearch, cancellationToken);
            return ExitCode.Success;
        }
        catch (SinkException e)
        {
            errors.WriteLine(WithArguments(e.Message));
            return ExitCode.Failure;
        }
    }

    private static ElasticsearchOptions ReadOptions(FlowsArguments arguments)
    {
        arguments.Require(arguments.Has(Url) || arguments.Has(DryRun), "--url: give a server's address, like https://elasticsearch:9200, or --dry-run.");
        var urls = arguments.Read<IReadOnlyList<Uri>>(Url, [], _ => [.. arguments.All(Url).Select(ParseUrl)]);
        var index = arguments.Read(Index, ElasticsearchOptions.DefaultIndex, ElasticsearchOptions.ParseIndex);
        arguments.Require(arguments.Has(UserFile) == arguments.Has(PasswordFile), "--user-file, --password-file: give both.");
        arguments.Require(!(arguments.Has(UserFile) && arguments.Has(ApiKeyFile)), "--api-key-file: give it alone, or --user-file and --password-file.");
        var options = new ElasticsearchOptions(urls, index, FileOf(UserFile), FileOf(PasswordFile), FileOf(ApiKeyFile), FileOf(CaFile));
        var reader = new OptionReader(new ConfigurationBuilder().Build());
        ServerCredentials.Check(options, reader);
        ServerTrust.Check(options, reader);
        foreach (var error in reader.Errors)
        {
            arguments.Refuse(WithArguments(error));
        }
        return options;

        string FileOf(FlowsArgument argument) => arguments.Text(argument) is { } file ? Path.GetFullPath(file) : "";
    }

    private static Uri ParseUrl(string text)
    {
        try
        {
            return ElasticsearchOptions.ParseUrl(text);
        }
        catch (FormatException e)
        {
            throw new FormatException(WithArguments(e.Message), e);
        }
    }

    /// <summary>A message of the sink, whose options are arguments here.</summary>
    private static string WithArguments(string message) => Options.Aggregate(message, (text, option) => text.Replace(option.Key, option.Argument.Name, StringComparison.Ordinal));
}
