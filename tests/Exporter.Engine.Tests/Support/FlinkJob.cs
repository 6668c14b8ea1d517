using System.Diagnostics;
using System.Text.Json;
using Exporter.Tests.Support;

namespace Exporter.Engine.Tests.Support;

/// <summary>jobs/flink/run over a topic of a test, with topics for its results.</summary>
internal sealed class FlinkJob(KafkaBroker broker, string flows) : IAsyncDisposable
{
    // The quick compiler: the job of a test reads few records.
    private const string Options = "JAVA_OPTS=-Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1";

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(500);

    private static readonly string Script = Path.Combine(Repository.Root, "jobs", "flink", "run");

    private JavaProcess? _process;

    internal IReadOnlyList<JsonElement> Detections => Read("detections");

    internal IReadOnlyList<JsonElement> Matrix => Read("matrix");

    /// <summary>The last message of each key.</summary>
    internal IReadOnlyList<JsonElement> Counts =>
        [.. TopicReader.ReadAll(broker, $"{flows}.counts").GroupBy(record => record.Key).Select(records => JsonElement.Parse(records.Last().Value!))];

    /// <summary>What the job has written to its log since it was started.</summary>
    internal string Log => _process!.Log;

    private IEnumerable<string> Topics =>
        [$"--brokers={broker.BootstrapServers}", $"--flows={flows}", $"--detections={flows}.detections", $"--matrix={flows}.matrix", $"--counts={flows}.counts"];

    /// <summary>Runs the script with these arguments alone, to its end.</summary>
    internal static Task<(int ExitCode, string Output, string Error)> RunScriptAsync(params IEnumerable<string> arguments)
    {
        _ = Engines.Flink;
        return Command.RunAsync("env", [Options, Script, .. arguments]);
    }

    /// <summary>Reads what the topic has now.</summary>
    internal async Task RunBoundedAsync(params IEnumerable<string> arguments)
    {
        var (exitCode, _, errors) = await RunScriptAsync([.. Topics, "--bounded", .. arguments]);
        Assert.True(exitCode == 0, errors);
    }

    /// <summary>Starts the job, which reads until it is killed; also once more.</summary>
    internal async Task StartAsync(params IReadOnlyList<string> arguments)
    {
        _ = Engines.Flink;
        await DisposeAsync();
        _process = new(_ => ["env", Options, Script, .. Topics, .. arguments]);
        await _process.StartAsync(() => Task.FromResult(true));
    }

    /// <summary>Kills the job at once (-9).</summary>
    internal Task KillAsync() => _process!.KillAsync();

    /// <summary>Waits until the results are so, while there are ever more of them.</summary>
    internal async Task WaitAsync(Func<bool> isSo)
    {
        var rows = -1;
        var changed = Stopwatch.GetTimestamp();
        while (!isSo())
        {
            Assert.True(_process!.IsRunning, $"The job has ended:\n{Log}");
            Assert.True(Stopwatch.GetElapsedTime(changed) < Silence.Limit, $"No more results come, after {rows} rows:\n{Log}");
            if (Matrix.Count is var now && now != rows)
            {
                (rows, changed) = (now, Stopwatch.GetTimestamp());
            }
            await Task.Delay(Pace);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            await process.DisposeAsync();
        }
    }

    private IReadOnlyList<JsonElement> Read(string results) => [.. TopicReader.ReadAll(broker, $"{flows}.{results}").Select(record => JsonElement.Parse(record.Value!))];
}
