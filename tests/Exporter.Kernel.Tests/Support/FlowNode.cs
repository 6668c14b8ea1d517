using System.Diagnostics;

namespace Exporter.Kernel.Tests.Support;

/// <summary>A node whose exporter, which comes and goes, writes the records of flows to a file.</summary>
internal sealed class FlowNode : IDisposable
{
    /// <summary>Between looks at the file.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private readonly DirectoryInfo _folder;
    private readonly bool _ownsFolder;

    /// <param name="options">As --Flows:Interval=..., which is a second otherwise.</param>
    internal FlowNode(params string[] options)
        : this(Directory.CreateTempSubdirectory("flows"), options) => _ownsFolder = true;

    /// <param name="folder">Of the file; the caller removes it.</param>
    internal FlowNode(DirectoryInfo folder, params string[] options)
    {
        (_folder, Records) = (folder, new(Path.Combine(folder.FullName, "flows.json")));
        Node = new([.. OptionsOf(Records.Path), .. options]);
    }

    internal PinnedNode Node { get; }

    /// <summary>The records that have arrived in the file.</summary>
    internal FlowLog Records { get; }

    /// <summary>The options that flows need.</summary>
    internal static string[] OptionsOf(string path) =>
    [
        "--Flows:Enabled=true", "--Flows:Interval=00:00:01", "--Edges:Classes=pods=10.0.0.0/8,fd00::/8",
        "--Export:Sinks=file", $"--File:Path={path}", "--File:MaxSize=1GiB", "--Identity:Source=standalone",
    ];

    internal Task<ExporterProcess> StartAsync(params string[] more) => Node.StartAsync(more);

    /// <summary>Attaches to interfaces of pods, which are up then.</summary>
    internal async Task AttachAsync(params Pod[] pods)
    {
        using var exporter = await StartAsync();
        foreach (var pod in pods)
        {
            await exporter.WaitForAttachedAsync(pod.Interface);
            pod.Up();
        }
    }

    /// <summary>Reads the file until its records are as wanted.</summary>
    internal async Task ReadUntilAsync(Func<FlowLog, bool> wanted, Func<string>? explain = null)
    {
        for (var started = Stopwatch.GetTimestamp(); ;)
        {
            Records.Read();
            if (wanted(Records))
            {
                return;
            }
            if (Stopwatch.GetElapsedTime(started) > Silence.Limit)
            {
                throw new InvalidOperationException($"The records did not become as wanted: {explain?.Invoke()}\n{string.Join('\n', Records.Lines.TakeLast(20))}");
            }
            await Task.Delay(Pace);
        }
    }

    /// <summary>Waits until all that was counted before now is in the file: until an interval that has begun later is complete, since one has its end from after its reading.</summary>
    internal Task SettleAsync()
    {
        // Records have milliseconds.
        var now = DateTimeOffset.UtcNow.AddMilliseconds(1);
        return ReadUntilAsync(records => records.HasIntervalAfter(now), () => $"no interval has begun and ended after {now:O}");
    }

    /// <summary>Waits until flows and rests add up to the interfaces' own counters, and the pods' metrics too, and `flows verify` says so.</summary>
    internal async Task AssertExactAsync(ExporterProcess exporter, params Pod[] pods)
    {
        foreach (var pod in pods)
        {
            await ReadUntilAsync(
                records => pod.ReadCounters().IsCountedAs(records.SumOf(pod.Interface)),
                () => $"{pod.Interface} has {pod.ReadCounters()}, its records {Records.SumOf(pod.Interface)}");
        }
        await PinnedNode.AssertExactAsync(exporter, pods);
        await AssertVerifiedAsync(exporter);
    }

    /// <summary>Waits until `flows verify` finds nothing wrong with the file, and what it has of all pods is what the exporter's metrics have.</summary>
    internal Task AssertVerifiedAsync(ExporterProcess exporter) => exporter.AskUntilAsync(
        () => Task.FromResult(ExporterProcess.Run("flows", "verify", $"--from={Records.Path}", $"--metrics=http://127.0.0.1:{exporter.Port}")),
        verified => verified.ExitCode == 0);

    public void Dispose()
    {
        Node.Dispose();
        if (_ownsFolder)
        {
            _folder.Delete(recursive: true);
        }
    }
}
