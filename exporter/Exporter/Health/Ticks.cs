namespace Exporter.Health;

/// <summary>Waits for the next round of a loop.</summary>
internal static class Ticks
{
    /// <summary>Waits for the next tick. Returns false once it is cancelled, without an exception.</summary>
    internal static async ValueTask<bool> NextAsync(this PeriodicTimer timer, CancellationToken stoppingToken)
    {
        try
        {
            return await timer.WaitForNextTickAsync(stoppingToken);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
