using System.Runtime.InteropServices;

namespace Exporter.Commands;

/// <summary>podnet-exporter flows and its sub-commands, which have arguments of their own instead of options.</summary>
internal static class FlowsCommand
{
    /// <summary>The word behind the program's name.</summary>
    internal const string Word = "flows";

    /// <param name="typed">The arguments behind the word.</param>
    internal static async Task<int> RunAsync(string[] typed, TextWriter output, TextWriter errors)
    {
        if (typed is ["help", ..] || typed.Any(argument => argument is "--help" or "-h"))
        {
            output.WriteLine(FlowsHelp.Write());
            return ExitCode.Success;
        }
        switch (typed)
        {
            case ["verify", .. var arguments]:
                return await FlowsVerifyCommand.RunAsync(arguments, output, errors, handler: null, CancellationToken.None);
            case ["install", .. var arguments] when FlowsInstallKafka.IsMeant(arguments):
                return await FlowsInstallKafka.RunAsync(arguments, output, errors);
            case ["install", .. var arguments]:
                return await FlowsInstallCommand.RunAsync(arguments, output, errors, CancellationToken.None);
            case ["schema", .. var arguments]:
                return FlowsSchemaCommand.Run(arguments, output, errors);
            case [[not '-', ..] word, ..]:
                errors.WriteLine($"flows {word}: there is no such command. 'podnet-exporter flows --help' lists them.");
                return ExitCode.BadOptions;
            default:
                return await ShowAsync(typed, errors);
        }
    }

    /// <summary>SIGINT, SIGTERM and the end of its reader end it in order, a second signal at once.</summary>
    private static async Task<int> ShowAsync(string[] typed, TextWriter errors)
    {
        using var stopping = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        return await FlowsShowCommand.RunAsync(typed, OutputStream.OpenStandard(), errors, handler: null, TimeProvider.System, stopping.Token);

        void Stop(PosixSignalContext context)
        {
            context.Cancel = !stopping.IsCancellationRequested;
            stopping.Cancel();
        }
    }
}
