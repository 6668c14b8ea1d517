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
}
