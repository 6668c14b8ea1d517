namespace Exporter.Interfaces;

/// <summary>
/// Numbers the interfaces, also over changes of options: what outlives a session knows an interface by its generation, even one that is gone and has no record
/// any more. Used by one thread at a time.
/// </summary>
internal sealed class LinkGenerations
{
    private long _last;

    /// <summary>Greater than all before.</summary>
    internal long Next() => ++_last;

    /// <summary>Continues after a previous process.</summary>
    internal void Continue(long last) => _last = Math.Max(_last, last);
}
