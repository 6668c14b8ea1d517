namespace Exporter.Signals.Flows;

/// <summary>The records of the last interval, as /api/v1/flows shows them: as many as there is room for.</summary>
internal sealed class LastInterval
{
    /// <summary>About two thousand records.</summary>
    private const int MaxBytes = 2 << 20;

    private byte[] _next = [];

    private int _length;
    private byte[] _last = [];

    internal byte[] Lines => Volatile.Read(ref _last);

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

    internal void End() => Volatile.Write(ref _last, _next.AsSpan(0, _length).ToArray());
}
