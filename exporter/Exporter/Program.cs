using Exporter;
using Exporter.Commands;
using Exporter.Options;

try
{
    return args is [FlowsCommand.Word, .. var flows] ? await FlowsCommand.RunAsync(flows, Console.Out, Console.Error) : await RunAsync(CommandLine.Parse(args));
}
catch (IOException e)
{
    // Commands catch what their files and connections throw: this is of what they print.
    Console.Error.WriteLine($"The output cannot be written: {e.Message}");
    return ExitCode.Failure;
}

static async Task<int> RunAsync(CommandLine commandLine)
{
    switch (commandLine.Command)
    {
        case "help":
            Console.WriteLine(HelpText.Write(ExporterOptions.Describe()));
            return ExitCode.Success;
        case "version":
            Console.WriteLine($"podnet-exporter {ProductVersion.Text}");
            return ExitCode.Success;
        case CommandLine.ListOptions:
            Console.WriteLine(commandLine.IsFlagged ? OptionsSchema.Write(ExporterOptions.Describe()) : OptionsText.Write(ExporterOptions.Describe()));
            return ExitCode.Success;
        case CommandLine.Run or "check" or "metrics" or CommandLine.Uninstall:
            break;
        default:
            Console.Error.WriteLine($"{commandLine.Command}: there is no such command. 'podnet-exporter help' lists them.");
            return ExitCode.BadOptions;
    }

    var files = OptionFiles.Read(commandLine.Options);
    if (files.Error is { } error)
    {
        Console.Error.WriteLine(error);
        return ExitCode.BadOptions;
    }
    var reader = new OptionReader(files.Configuration);
    var options = ExporterOptions.Read(reader);
    IReadOnlyList<string> errors = [.. commandLine.Errors, .. reader.Errors];
    if (errors.Count > 0)
    {
        Console.Error.WriteLine(string.Join(Environment.NewLine, errors));
        return ExitCode.BadOptions;
    }
    switch (commandLine.Command)
    {
        case "check":
            return await CheckCommand.RunAsync(options, Console.Out);
        case "metrics":
            Console.WriteLine(MetricsText.Write(options));
            return ExitCode.Success;
        case CommandLine.Uninstall:
            return await UninstallCommand.RunAsync(options, commandLine.IsFlagged, commandLine.Stay, Console.Out, Console.Error);
        default:
            return await RunCommand.RunAsync(options, files, Console.Error);
    }
}
