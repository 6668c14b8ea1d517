namespace Exporter.Health;

/// <summary>How loops wait.</summary>
internal static class Ticks
{
    /// <summary>Whether there is a next tick; none comes once it is cancelled, which is no exception to a loop.</summary>
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
