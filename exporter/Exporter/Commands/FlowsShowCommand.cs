using System.Globalization;

namespace Exporter.Commands;

/// <summary>podnet-exporter flows: the records of the last interval, and with --follow of each further one.</summary>
internal static class FlowsShowCommand
{
    private static readonly FlowsArgument Follow = new("--follow", "", "Prints each further interval, until Ctrl-C.");
    private static readonly FlowsArgument Url = new("--url", "URL", "The exporter's address; http://localhost:9969 where it is not given.");
    private static readonly FlowsArgument Namespace = new("--namespace", "NAMESPACE", "Records of pods of this namespace.", "-n");
    private static readonly FlowsArgument Pod = new("--pod", "NAME", "Records of pods with this name, which can have * and ?.");
    private static readonly FlowsArgument Peer = new("--peer", "TEXT", "Records whose other end has this in its namespace, name, class or address.");
    private static readonly FlowsArgument Port = new("--port", "NUMBER", "Records with this port at either end.");
    private static readonly FlowsArgument Host = new("--host", "IP|CIDR", "Records with such an address at either end.");
    private static readonly FlowsArgument Output = new("--output", "table|json", "A table, or the records as they are.", "-o");
    private static readonly FlowsAccess Access = FlowsAccess.Create("");

    internal static IReadOnlyList<FlowsArgument> Arguments { get; } = [Follow, Url, Namespace, Pod, Peer, Port, Host, Output, .. Access.Arguments];

    /// <param name="output">Records only.</param>
    /// <param name="errors">Errors and notes.</param>
    /// <param name="handler">Null: the network's.</param>
    internal static async Task<int> RunAsync(
        ReadOnlyMemory<string> typed, TextWriter output, TextWriter errors, HttpMessageHandler? handler, TimeProvider time, CancellationToken cancellationToken)
    {
        var arguments = new FlowsArguments("flows", Arguments, typed.Span);
        var url = arguments.Read(Url, new Uri("http://localhost:9969"), Access.ParseUrl);
        var filter = new FlowsFilter(
            arguments.Text(Namespace), arguments.Text(Pod), arguments.Text(Peer), arguments.Read(Port, null, ParsePort), arguments.Read(Host, null, FlowsFilter.ParseHost));
        var isJson = arguments.Read(Output, false, text => text is "json" || (text is "table" ? false : throw new FormatException("is not one of table, json")));
        Access.Check(arguments, [url]);
        if (arguments.PrintErrors(errors))
        {
            return ExitCode.BadOptions;
        }
        try
        {
            using var client = new FlowsClient(Access, arguments, handler);
            var view = new FlowsView(client, url, filter, isJson, output, errors);
            if (arguments.Has(Follow))
            {
                await view.FollowAsync(time, cancellationToken);
            }
            else
            {
                await view.ShowAsync(cancellationToken);
            }
            return ExitCode.Success;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.Success;
        }
        catch (OutputException e) when (e.IsClosed)
        {
            return ExitCode.Success;
        }
        catch (Exception e) when (e is FlowsException or OutputException)
        {
            errors.WriteLine(e.Message);
            return ExitCode.Failure;
        }
    }

    private static int? ParsePort(string text) => ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
        ? port
        : throw new FormatException("is not a whole number from 0 to 65535");
}
