using Exporter.Kernel.Tests.SocketStates;
using Xunit.Runner.InProc.SystemConsole;

return args is [NodeWithSocketStates.Command, ..]
    ? await NodeWithSocketStates.RunAsync(args[1..])
    : await ConsoleRunner.Run(args);
