namespace Exporter.Server;

/// <summary>Bounds how many requests of a kind run at once; a request beyond that is answered at once with 503.</summary>
/// <param name="reason">The reason that a refusal is counted with, one of <see cref="RefusalReason"/>.</param>
internal sealed class RequestSlots(int slots, string reason, ServerRefusals refusals, TimeProvider time)
{
    /// <summary>How long an answer may hold its slot: a client that does not read it must not keep others out.</summary>
    internal static readonly TimeSpan MaxDuration = TimeSpan.FromMinutes(1);

    private int _running;

    /// <param name="content">At a start its first view is waited for, and not the client: the client's time begins after that.</param>
    internal async Task RunAsync(HttpContext context, CurrentView content, Func<ServerView, Task> answer)
    {
        if (Interlocked.Increment(ref _running) > slots)
        {
            Interlocked.Decrement(ref _running);
            refusals.Count(reason);
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.Headers.RetryAfter = "1";
            context.Response.ContentType = "text/plain; charset=utf-8";
            await context.Response.WriteAsync($"{slots} requests of this kind are running already; try again\n");
            return;
        }
        try
        {
            var view = await content.GetAsync(context);
            await using var limit = time.CreateTimer(_ => Abort(context), null, MaxDuration, Timeout.InfiniteTimeSpan);
            await answer(view);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    private void Abort(HttpContext context)
    {
        refusals.Count(RefusalReason.SlowClient);
        context.Abort();
    }
}
