namespace Exporter.Signals.Flows;

/// <summary>The records of the last interval, as /api/v1/flows shows them: as many as there is room for.</summary>
internal sealed class LastInterval
{
    /// <summary>About two thousand records.</summary>
    private const int MaxBytes = 2 << 20;

    /// <summary>Guards <see cref="_last"/>, which the next interval but one is written over.</summary>
    private readonly Lock _lock = new();

    private byte[] _next = [];
    private int _length;
    private byte[] _last = [];
    private int _lastLength;

    /// <summary>A copy: one line of JSON each.</summary>
    internal byte[] Lines
    {
        get
        {
            lock (_lock)
            {
                return _last.AsSpan(0, _lastLength).ToArray();
            }
        }
    }

    internal void Begin() => _length = 0;

    internal void Add(ReadOnlySpan<byte> line)
    {
        if (_length + line.Length > MaxBytes)
        {
            return;
        }
        if (_length + line.Length > _next.Length)
        {
            Array.Resize(ref _next, Math.Min(MaxBytes, Math.Max(64 << 10, 2 * (_length + line.Length))));
        }
        line.CopyTo(_next.AsSpan(_length));
        _length += line.Length;
    }

    internal void End()
    {
        lock (_lock)
        {
            ((_last, _lastLength), _next) = ((_next, _length), _last);
        }
    }
}
