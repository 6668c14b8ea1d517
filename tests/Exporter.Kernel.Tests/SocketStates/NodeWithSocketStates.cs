using Exporter.Commands;
using Exporter.Options;
using Exporter.Signals;

namespace Exporter.Kernel.Tests.SocketStates;

/// <summary>The program with one signal more, as this executable runs it with <see cref="Command"/>.</summary>
internal static class NodeWithSocketStates
{
    internal const string Command = "--with-socket-states";

    /// <param name="args">Behind the command: those of podnet-exporter.</param>
    internal static async Task<int> RunAsync(string[] args)
    {
        var commandLine = CommandLine.Parse(args);
        var files = OptionFiles.Read(commandLine.Options);
        var reader = new OptionReader(files.Configuration);
        IReadOnlyList<SignalReader> signals = [.. AllSignals.Readers, SocketStatesSignal.Read];
        var options = ExporterOptions.Read(reader, signals);
        if (reader.Errors.Count > 0)
        {
            Console.Error.WriteLine(string.Join('\n', reader.Errors));
            return ExitCode.BadOptions;
        }
        switch (commandLine.Command)
        {
            case "metrics":
                Console.WriteLine(MetricsText.Write(options));
                return ExitCode.Success;
            case CommandLine.ListOptions:
                Console.WriteLine(commandLine.IsFlagged ? OptionsSchema.Write(reader.Options) : OptionsText.Write(reader.Options));
                return ExitCode.Success;
            default:
                return await RunCommand.RunAsync(options, files, Console.Error, signals);
        }
    }
}
