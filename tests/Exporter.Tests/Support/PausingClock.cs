using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests.Support;

/// <summary>A clock that stands until a test moves it on, and that tells of every pause that is made by it.</summary>
internal sealed class PausingClock : FakeTimeProvider
{

    private readonly Channel<TimeSpan> _pauses = Channel.CreateUnbounded<TimeSpan>();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        // Those of Task.Delay; the others end somebody's patience.
        if (state is Task)
        {
            _pauses.Writer.TryWrite(dueTime);
        }
        return timer;
    }

    /// <summary>The next one that begins, or has begun since the last.</summary>
    internal Task<TimeSpan> NextPauseAsync() => _pauses.Reader.ReadAsync().AsTask().WaitAsync(Silence.Limit);

    /// <summary>Returns when one begins, without taking it.</summary>
    internal Task WaitForPauseAsync(CancellationToken cancellationToken) => _pauses.Reader.WaitToReadAsync(cancellationToken).AsTask();

    internal bool TryTakePause(out TimeSpan pause) => _pauses.Reader.TryRead(out pause);
}
