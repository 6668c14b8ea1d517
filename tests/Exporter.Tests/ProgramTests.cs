using System.Diagnostics;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.FlowLines;

namespace Exporter.Tests;

/// <summary>The program as a process: its streams, and how it ends.</summary>
public sealed class ProgramTests
{
    private static readonly string Binary = Path.Combine(AppContext.BaseDirectory, "podnet-exporter");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>As <c>podnet-exporter flows --follow | head -n 1</c>.</summary>
    [Fact]
    public async Task Following_ends_when_its_reader_has_gone()
    {
        await using var exporter = new SearchServer();
        var interval = 31;
        exporter.Other = _ => SearchAnswers.Json(new FlowLines(first: interval++).Interval(new FlowCounts(1, 2)).Text);
        using var process = Process.Start(new ProcessStartInfo(Binary, ["flows", "--follow", $"--url={exporter.Url}", "-o", "json"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;

        Assert.StartsWith("{", await process.StandardOutput.ReadLineAsync(Cancelled).AsTask().WaitAsync(Silence.Limit, Cancelled), StringComparison.Ordinal);
        process.StandardOutput.Close();
        try
        {
            await process.WaitForExitAsync(Cancelled).WaitAsync(Silence.Limit, Cancelled);
        }
        finally
        {
            process.Kill();
        }

        Assert.Equal((0, ""), (process.ExitCode, await process.StandardError.ReadToEndAsync(Cancelled)));
    }

    [Theory]
    [InlineData("help")]
    [InlineData("version")]
    [InlineData("metrics")]
    [InlineData("flows --help")]
    [InlineData("flows schema")]
    public async Task Output_that_cannot_be_written_is_one_line(string command)
    {
        var (exitCode, _, errors) = await RunAsync($"{command} >/dev/full");

        Assert.Equal((ExitCode.Failure, "The output cannot be written: No space left on device"), (exitCode, errors.Split(" : ")[0].Trim()));
    }

    [Theory]
    [InlineData("help", "Counts the traffic")]
    [InlineData("--help", "Counts the traffic")]
    [InlineData("version", "podnet-exporter ")]
    [InlineData("options", "| option")]
    public async Task Help_needs_no_file_of_options(string command, string beginning)
    {
        var (exitCode, output, errors) = await RunAsync($"{command} --Options:File=/nowhere/options.json", "PODNET__Options__File=/nowhere PODNET__Drain__Interval=x");

        Assert.Equal((ExitCode.Success, ""), (exitCode, errors));
        Assert.StartsWith(beginning, output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("check")]
    [InlineData("dance")]
    public async Task A_wrong_command_or_file_of_options_is_an_error(string command)
    {
        var (exitCode, output, errors) = await RunAsync($"{command} --Options:File=/nowhere");

        Assert.Equal((ExitCode.BadOptions, ""), (exitCode, output));
        Assert.Single(errors.Trim().Split('\n'));
    }

    private static async Task<(int ExitCode, string Output, string Errors)> RunAsync(string command, string environment = "")
    {
        using var process = Process.Start(new ProcessStartInfo("sh", ["-c", $"exec env {environment} \"$0\" {command}", Binary]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(Cancelled), process.StandardError.ReadToEndAsync(Cancelled));
        await process.WaitForExitAsync(Cancelled).WaitAsync(Silence.Limit, Cancelled);
        return (process.ExitCode, await output, await errors);
    }
}
