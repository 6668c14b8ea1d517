using Exporter.Health;

namespace Exporter.Kubernetes;

/// <summary>
/// The pauses of a watch, all random, so that a cluster's nodes do not send their requests at the same moment. The loop's health allows for
/// a pause and for the request after it.
/// </summary>
internal sealed class RetryPauses(LoopHealth health, string loop, TimeProvider time)
{
    /// <summary>How long an answer may take. It comes at once, or after a place in a queue that an API server gives up after 15 seconds.</summary>
    internal static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(30);

    /// <summary>The longest time that a Retry-After header can ask for.</summary>
    internal static readonly TimeSpan LongestRetryAfter = TimeSpan.FromMinutes(2);

    /// <summary>All nodes of a cluster may start at once, and lose their watches at once.</summary>
    private static readonly TimeSpan ListWithin = TimeSpan.FromSeconds(4);

    private static readonly TimeSpan ReconnectWithin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(15);

    /// <summary>Whether the previous request failed as well.</summary>
    private bool _hasFailed;

    /// <summary>Before a list that all nodes of a cluster may need at the same moment.</summary>
    internal Task BeforeListOfAllNodesAsync(CancellationToken stoppingToken) => PauseAsync(Between(TimeSpan.Zero, ListWithin), stoppingToken);

    internal Task BeforeReconnectAsync(CancellationToken stoppingToken) => PauseAsync(Between(TimeSpan.Zero, ReconnectWithin), stoppingToken);

    /// <summary>Waits for the time that the API server asked for and up to half of it more, or else for a random time.</summary>
    /// <param name="longest">The longest random time, within the limits for all resources.</param>
    internal async Task AfterFailureAsync(TimeSpan? retryAfter, TimeSpan longest, CancellationToken stoppingToken)
    {
        var most = new TimeSpan(Math.Clamp(longest.Ticks, Shortest.Ticks * 2, Longest.Ticks));
        var pause = LimitRetryAfter(retryAfter) is { } given
            ? given * (1 + (Random.Shared.NextDouble() / 2))
            : Between(_hasFailed ? most / 2 : Shortest, most);
        _hasFailed = true;
        await PauseAsync(pause, stoppingToken);
    }

    /// <summary>Notes that a request was answered: the next failure is a first one again.</summary>
    internal void Reset() => _hasFailed = false;

    /// <summary>The time that the API server asked for, within limits; null if it did not. Zero, which only proxies ask for, would cause a storm of requests.</summary>
    internal static TimeSpan? LimitRetryAfter(TimeSpan? asked) =>
        asked is { Ticks: > 0 } given ? (given > LongestRetryAfter ? LongestRetryAfter : given) : null;

    /// <summary>A random time of at least a millisecond: Task.Delay takes less for zero.</summary>
    internal static TimeSpan Between(TimeSpan least, TimeSpan most) =>
        new(Math.Max((least + ((most - least) * Random.Shared.NextDouble())).Ticks, TimeSpan.TicksPerMillisecond));

    private async Task PauseAsync(TimeSpan pause, CancellationToken stoppingToken)
    {
        health.Beat(loop, pause + AnswerPatience + LongestRetryAfter);
        await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
    }
}
