using System.Diagnostics;

namespace Exporter.Engine.Tests.Support;

/// <summary>Waits for states of other programs, which have no event to wait for.</summary>
internal static class Wait
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(100);

    /// <summary>Asks until it is so.</summary>
    /// <param name="complaint">The message where it does not become so within <see cref="Silence.Limit"/>.</param>
    internal static async Task UntilAsync(Func<Task<bool>> isSo, Func<string> complaint)
    {
        var started = Stopwatch.GetTimestamp();
        while (!await isSo())
        {
            if (Stopwatch.GetElapsedTime(started) > Silence.Limit)
            {
                throw new InvalidOperationException(complaint());
            }
            await Task.Delay(Pace);
        }
    }
}
