namespace Exporter.Server;

/// <summary>Holds the current view; requests before the first one wait, as at a start.</summary>
internal sealed class CurrentView
{
    private TaskCompletionSource<ServerView> _current = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal Task<ServerView> GetAsync(HttpContext context) => Volatile.Read(ref _current).Task.WaitAsync(context.RequestAborted);

    internal void Set(ServerView view)
    {
        if (!Volatile.Read(ref _current).TrySetResult(view))
        {
            var next = new TaskCompletionSource<ServerView>();
            next.SetResult(view);
            Volatile.Write(ref _current, next);
        }
    }
}
