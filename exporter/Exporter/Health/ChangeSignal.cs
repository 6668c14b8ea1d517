using System.Threading.Channels;

namespace Exporter.Health;

/// <summary>A signal that something has changed since the last wait. The waiter reads the new state itself.</summary>
internal sealed class ChangeSignal
{
    private readonly Channel<bool> _channel = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    internal void Set() => _channel.Writer.TryWrite(true);

    /// <summary>Returns when something has changed.</summary>
    internal async ValueTask WaitAsync(CancellationToken cancellationToken) => await _channel.Reader.ReadAsync(cancellationToken);

    /// <summary>Takes the signal without waiting. Returns whether it was set.</summary>
    internal bool TryTake() => _channel.Reader.TryRead(out _);
}
