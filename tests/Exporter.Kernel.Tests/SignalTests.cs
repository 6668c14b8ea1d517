using System.Globalization;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>What the real binary does on signals.</summary>
public sealed class SignalTests : IDisposable
{
    /// <summary>Whatever the test runner's own are: a shell's background job ignores SIGINT, and its children would.</summary>
    private static readonly string[] Command = ["env", "--default-signal", ExporterProcess.Binary];

    private readonly string _token = Path.GetTempFileName();

    public void Dispose() => File.Delete(_token);

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task SIGTERM_and_SIGINT_stop_it_in_order(string signal)
    {
        using var exporter = await ExporterProcess.StartBehindAsync(Command);

        Send(exporter, signal);

        Assert.Equal(0, exporter.WaitForExit());
        Assert.Contains(exporter.Log, line => line.Contains($"SIG{signal}: stopping", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_second_signal_ends_it_at_once()
    {
        using var exporter = await ExporterProcess.StartBehindAsync(Command);

        // Both are there before either is seen.
        Send(exporter, "STOP");
        Send(exporter, "TERM");
        Send(exporter, "INT");
        Send(exporter, "CONT");

        Assert.Contains(exporter.WaitForExit(), (int[])[130, 143]);
        Assert.Contains(exporter.Log, line => line.Contains("while stopping: ending at once", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SIGHUP_reads_files_again_and_logs_each_time_what_cannot_be_used()
    {
        await File.WriteAllTextAsync(_token, "one");
        using var exporter = await ExporterProcess.StartBehindAsync(Command, $"--Server:BearerTokenFile={_token}");

        await File.WriteAllTextAsync(_token, "two words");
        Send(exporter, "HUP");
        await exporter.WaitForLogAsync("Reloading the bearer_token failed");
        Send(exporter, "HUP");
        await exporter.WaitForLogAsync("Reloading the bearer_token failed", lines: 2);

        Assert.Equal(2, exporter.Log.Count(line => line.Contains("SIGHUP: reading the files", StringComparison.Ordinal)));

        Assert.Equal(0, exporter.Terminate());
    }

    private static void Send(ExporterProcess exporter, string signal) => Shell.Run("kill", $"-{signal}", exporter.Id.ToString(CultureInfo.InvariantCulture));
}
