using Exporter.Bpf;
using Exporter.Health;

namespace Exporter.Signals.Flows;

/// <summary>Looks once a second how full the map is, and ends an interval early rather than have it full.</summary>
internal sealed partial class FlowLoop(FlowDrain drain, LoadedFlows loaded, SessionContext context) : BackgroundService
{
    private const string Name = "flows";

    /// <summary>Percent of the map, beyond which its interval ends.</summary>
    private const int NearlyFull = 60;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>A drain waits for the kernel, and for the sinks as long as an interval lasts.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(6);

    private readonly Trouble _failure = new();
    private readonly ILogger _logger = context.Logging.CreateLogger<FlowLoop>();
    private ulong _inserts;

    /// <summary>Whether so much of the map is used that the interval ends.</summary>
    internal static bool IsNearlyFull(LoadedFlows loaded)
    {
        try
        {
            return IsNearlyFull(loaded, ReadInserts(loaded));
        }
        catch (BpfException)
        {
            // The loop reports it.
            return false;
        }
    }

    /// <summary>The last drain follows.</summary>
    public override Task StopAsync(CancellationToken cancellationToken)
    {
        drain.Hurry();
        return base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Pause, context.Time);
        while (await timer.NextAsync(stoppingToken))
        {
            context.Health?.Beat(Name, Patience);
            try
            {
                Look();
                if (_failure.Ends())
                {
                    LogWorks(_logger);
                }
            }
            catch (BpfException e)
            {
                // The drain loop counts it, and the interval ends in its time.
                if (_failure.Begins())
                {
                    LogFailing(_logger, e.Message);
                }
            }
        }
        context.Health?.End(Name);
    }

    private void Look()
    {
        if (drain.Started == 0)
        {
            // The map may have filled while no exporter ran: its interval still waits for names.
            return;
        }
        var inserts = ReadInserts(loaded);
        var lately = inserts >= _inserts ? inserts - _inserts : inserts;
        _inserts = inserts;
        if (IsNearlyFull(loaded, inserts) || (inserts > 0 && inserts + lately >= (ulong)loaded.MaxFlows))
        {
            drain.Drain();
            _inserts = 0;
        }
    }

    private static bool IsNearlyFull(LoadedFlows loaded, ulong inserts) => inserts * 100 >= (ulong)loaded.MaxFlows * NearlyFull;

    private static ulong ReadInserts(LoadedFlows loaded) => loaded.Flows!.Current.TryReadActive(FlowKey.OfMap, out var value) ? FlowRest.Of(value).Inserts : 0;

    [LoggerMessage(500, LogLevel.Error, "Looking at the map of flows failed, retrying: {Reason}")]
    private static partial void LogFailing(ILogger logger, string reason);

    [LoggerMessage(501, LogLevel.Information, "Looking at the map of flows works again")]
    private static partial void LogWorks(ILogger logger);
}
