using Exporter;
using Exporter.Commands;
using Exporter.Options;

if (args is [FlowsCommand.Word, .. var flows])
{
    return await FlowsCommand.RunAsync(flows, Console.Out, Console.Error);
}
var commandLine = CommandLine.Parse(args);
var files = OptionFiles.Read(commandLine.Options);
if (files.Error is { } error)
{
    Console.Error.WriteLine(error);
    return ExitCode.BadOptions;
}
var reader = new OptionReader(files.Configuration);
var options = ExporterOptions.Read(reader);

switch (commandLine.Command)
{
    case "help":
        Console.WriteLine(HelpText.Write(reader.Options));
        return ExitCode.Success;
    case "version":
        Console.WriteLine($"podnet-exporter {ProductVersion.Text}");
        return ExitCode.Success;
    case CommandLine.ListOptions:
        Console.WriteLine(commandLine.IsFlagged ? OptionsSchema.Write(reader.Options) : OptionsText.Write(reader.Options));
        return ExitCode.Success;
    case CommandLine.Run or "check" or "metrics" or CommandLine.Uninstall:
        break;
    default:
        Console.Error.WriteLine($"{commandLine.Command}: there is no such command. 'podnet-exporter help' lists them.");
        return ExitCode.BadOptions;
}

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
