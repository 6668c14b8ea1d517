using Exporter.Engine.Tests.Golden;
using Xunit.Runner.InProc.SystemConsole;

return args is [GoldenFiles.Command, .. var arguments] ? GoldenFiles.Run(arguments) : await ConsoleRunner.Run(args);
