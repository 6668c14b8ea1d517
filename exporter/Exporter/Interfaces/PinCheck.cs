using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Health;

namespace Exporter.Interfaces;

/// <summary>Pins that another process has removed are made again, and failures to pin or detach are counted, and logged once.</summary>
/// <param name="pins">Null: nothing is pinned.</param>
internal sealed partial class PinCheck(PinDirectory? pins, InterfaceMetrics metrics, ILogger logger)
{
    private readonly Trouble _pinning = new();
    private readonly Trouble _detaching = new();
    private readonly Trouble _loss = new();

    /// <summary>Pins attachments again whose pins were removed, unless the directory itself is gone.</summary>
    internal void Repair(IEnumerable<TcAttachment> attached)
    {
        if (pins is null)
        {
            return;
        }
        var isLost = pins.IsLost;
        if (isLost ? _loss.Begins() : _loss.Ends())
        {
            if (isLost)
            {
                metrics.CountAttachError("pin");
                LogPinsLost(logger, pins.Path);
            }
            else
            {
                LogPinsFound(logger, pins.Path);
            }
        }
        var repaired = 0;
        foreach (var handle in attached.Where(handle => !handle.IsPinned))
        {
            try
            {
                handle.Pin();
                repaired++;
            }
            catch (PinException e)
            {
                OnPinFailed(e.Message);
                return;
            }
        }
        if (repaired > 0)
        {
            LogPinnedAgain(logger, repaired);
        }
        _pinning.Ends();
    }

    internal void OnPinFailed(string problem)
    {
        metrics.CountAttachError("pin");
        if (_pinning.Begins())
        {
            LogNotPinned(logger, problem);
        }
    }

    internal void OnDetachFailed(Exception problem)
    {
        metrics.CountAttachError(problem is PinException ? "pin" : "other");
        if (_detaching.Begins())
        {
            LogNotDetached(logger, problem.Message);
        }
    }

    [LoggerMessage(14, LogLevel.Warning, "Interfaces are counted, but some only until this process ends, since their programs cannot be pinned: {Reason}")]
    private static partial void LogNotPinned(ILogger logger, string reason);

    [LoggerMessage(16, LogLevel.Warning, "Programs or pins could not be removed: {Reason}; further ones are counted in podnet_exporter_attach_errors_total and not logged")]
    private static partial void LogNotDetached(ILogger logger, string reason);

    [LoggerMessage(17, LogLevel.Warning, "Made {Count} pins again that another process had removed")]
    private static partial void LogPinnedAgain(ILogger logger, int count);

    [LoggerMessage(18, LogLevel.Error, "{Directory} was removed, or another file system was mounted over it: interfaces are counted until this process ends, and the next starts from zero. "
        + "Restart the exporter to pin again")]
    private static partial void LogPinsLost(ILogger logger, string directory);

    [LoggerMessage(19, LogLevel.Information, "{Directory} exists again")]
    private static partial void LogPinsFound(ILogger logger, string directory);
}
