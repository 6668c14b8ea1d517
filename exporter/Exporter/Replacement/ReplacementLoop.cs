using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Health;
using Exporter.Signals.Objects;

namespace Exporter.Replacement;

/// <summary>
/// Looks into the directory of objects, and has each new one take the place of the one that runs: once the kernel has verified it, and
/// it has proven to let packets pass. One that is refused changes nothing.
/// </summary>
internal sealed partial class ReplacementLoop(
    ObjectStatusBoard objects,
    IReadOnlyList<IReplaceable> loaded,
    IInterfacePrograms attached,
    LoopHealth health,
    TimeProvider time,
    ILogger<ReplacementLoop> logger) : BackgroundService
{
    private const string LoopName = "objects";

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>The kernel verifies some ten thousand instructions, on a node that may be overloaded.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        // Also where this session ends before its first look.
        objects.ForgetUnloaded(loaded);
        return base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Pause, time);
        do
        {
            health.Beat(LoopName, Pause + Patience);
            await LookAsync(stoppingToken);
        }
        while (await timer.NextAsync(stoppingToken));
    }

    /// <summary>Looks at each file once. The file of an object that is not loaded, as of a signal that is off, waits until it is.</summary>
    internal async Task LookAsync(CancellationToken stoppingToken)
    {
        foreach (var current in loaded.Where(one => one.Programs.Count > 0))
        {
            await LookAsync(current, stoppingToken);
        }
    }

    private async Task LookAsync(IReplaceable current, CancellationToken stoppingToken)
    {
        var name = current.Name;
        if (!objects.Directory.TryTakeNew(name, out var path, out var content, out var problem))
        {
            return;
        }
        try
        {
            if (content is not null)
            {
                await current.ReplaceAsync(content, attached, stoppingToken);
                objects.SetReplaced(name, path, time.GetUtcNow());
                LogReplaced(name, path);
                return;
            }
        }
        catch (KernelException e)
        {
            problem = e is BpfException { Log.Length: > 0 } refusal ? $"{e.Message}\n{refusal.Log}" : e.Message;
        }
        catch (OperationCanceledException)
        {
            // The next session is offered it again.
            objects.Directory.Forget(name);
            return;
        }
        objects.SetRefused(name, problem, time.GetUtcNow());
        LogRefused(name, path, problem);
    }

    [LoggerMessage(70, LogLevel.Information, "Replaced the BPF object {Name} by {Path}")]
    private partial void LogReplaced(string name, string path);

    [LoggerMessage(71, LogLevel.Error, "Rejected {Path}; the BPF object {Name} keeps running: {Reason}")]
    private partial void LogRefused(string name, string path, string reason);
}
