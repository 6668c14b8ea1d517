using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Health;
using Exporter.Signals.Objects;

namespace Exporter.Replacement;

/// <summary>
/// Looks into the directory of objects, and has each new one take the place of the one that runs: once the kernel has verified it, and
/// it has proven to let packets pass. One that is refused changes nothing, and is tried again where the reason may pass by itself.
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
        var mayPass = false;
        try
        {
            if (content is not null)
            {
                await current.ReplaceAsync(content, attached, stoppingToken);
                objects.Directory.Settle(name);
                objects.SetReplaced(name, path, time.GetUtcNow());
                LogReplaced(name, path);
                return;
            }
        }
        catch (KernelException e)
        {
            problem = e is BpfException { Log.Length: > 0 } refusal ? $"{e.Message}\n{refusal.Log}" : e.Message;
            mayPass = MayPass(e);
        }
        catch (OperationCanceledException)
        {
            // The next session is offered it again.
            objects.Directory.Forget(name);
            return;
        }
        var isKnown = mayPass && objects.Status.Any(status => status.Name == name && status.Refusal == problem);
        if (mayPass)
        {
            objects.Directory.OfferLater(name, time);
        }
        else
        {
            objects.Directory.Settle(name);
        }
        objects.SetRefused(name, problem, time.GetUtcNow());
        if (!isKnown)
        {
            LogRefused(name, path, problem, mayPass ? "; trying again" : "");
        }
    }

    /// <summary>
    /// Whether the kernel may take the same object later: it had no memory or no room, the trial was not possible just then, an interface was going, or the fault is
    /// in the directory of pins. Verifier, digest and layout say the same about it each time.
    /// </summary>
    private static bool MayPass(KernelException refusal) => refusal is PinException
        || refusal.ErrorNumber is Errno.ENOMEM or Errno.ENOBUFS or Errno.EMFILE or Errno.ENFILE or Errno.EAGAIN or Errno.EINTR or Errno.EBUSY or Errno.ENODEV or Errno.ENOLINK;

    [LoggerMessage(70, LogLevel.Information, "Replaced the BPF object {Name} by {Path}")]
    private partial void LogReplaced(string name, string path);

    [LoggerMessage(71, LogLevel.Error, "Rejected {Path}; the BPF object {Name} keeps running: {Reason}{Retry}")]
    private partial void LogRefused(string name, string path, string reason, string retry);
}
