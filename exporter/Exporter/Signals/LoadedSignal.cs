using Exporter.Metrics;
using Exporter.Signals.Objects;

namespace Exporter.Signals;

/// <summary>
/// A signal's programs and maps in the kernel, from the start of the process to its end. <see cref="Open"/> makes the drain of one session.
/// Disposing leaves programs attached that are pinned.
/// </summary>
internal abstract class LoadedSignal : IDisposable
{
    /// <summary>Whether its programs count; else its options, or the kernel, do not want it.</summary>
    internal abstract bool IsCounting { get; }

    /// <summary>The ids of its pairs of maps, also of pinned ones that no program counts into: the ledger remembers which of them are committed.</summary>
    internal abstract IEnumerable<int> Pairs { get; }

    /// <summary>How full its maps are.</summary>
    internal abstract IReadOnlyList<MapUsage> Maps { get; }

    /// <summary>How its programs are called by the kernel, by the names that podnet_exporter_hook_info shows.</summary>
    internal virtual IReadOnlyList<(string Name, string Hook)> Hooks => [];

    /// <summary>The lines of <c>podnet-exporter check</c>; a line without a name continues the one before.</summary>
    internal virtual IReadOnlyList<(string Name, string Text)> CheckLines => [];

    /// <summary>Its page; null: it has none.</summary>
    internal virtual SignalPage? Page => null;

    /// <summary>The object with its programs; null: they are in an object that signals share.</summary>
    internal virtual IReplaceable? Object => null;

    /// <summary>Begins a session: shows the signal's own families, and makes its drain; null while its programs do not count.</summary>
    /// <param name="signal">With the options of the session.</param>
    internal abstract SignalDrain? Open(Signal signal, SessionContext context);

    /// <summary>Logs what of the signal cannot be counted, and why.</summary>
    internal virtual void LogState(ILogger logger, TimeProvider time)
    {
    }

    /// <summary>Detaches its own programs, also pinned ones.</summary>
    internal virtual void Detach()
    {
    }

    public abstract void Dispose();
}
