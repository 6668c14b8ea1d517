namespace Exporter.Health;

/// <summary>Pauses that double up to a limit.</summary>
internal sealed class Backoff(TimeSpan first, TimeSpan longest)
{
    private TimeSpan? _next;

    internal TimeSpan Next()
    {
        var pause = _next ?? first;
        _next = pause * 2 > longest ? longest : pause * 2;
        return pause;
    }

    internal void Reset() => _next = null;
}
