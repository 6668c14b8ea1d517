using System.Threading.Channels;

namespace Exporter.Health;

/// <summary>Says that something has changed since it was last asked; what, is for the one to find who waits for it.</summary>
internal sealed class ChangeSignal
{
    private readonly Channel<bool> _channel = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    internal void Set() => _channel.Writer.TryWrite(true);

    /// <summary>Returns when something has changed.</summary>
    internal async ValueTask WaitAsync(CancellationToken cancellationToken) => await _channel.Reader.ReadAsync(cancellationToken);

    /// <summary>Takes the signal without waiting. Returns whether it was set.</summary>
    internal bool TryTake() => _channel.Reader.TryRead(out _);
}
