using Exporter.Bpf;
using Exporter.Health;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>
/// The accounts of the pods, within one budget of sample lines. A pod's series exist from its first interface until the retention after its last. Pods
/// that do not fit are folded into <c>__other__</c>, of their namespace or of all. ADR 5 has the reasons.
/// </summary>
internal sealed partial class PodAccounts
{
    private readonly AccountMetrics _metrics;
    private readonly PodLabels _labels;
    private readonly LevelAccounts[] _levels;
    private readonly Ledger _ledger;
    private readonly ILogger<PodAccounts> _logger;

    /// <summary>Taken when pods come and go, and once for each drain; never while counting.</summary>
    private readonly Lock _lock = new();
    private readonly Trouble _folding = new();
    private long _rounds;

    public PodAccounts(
        AccountMetrics metrics,
        TimeProvider time,
        PodLabels labels,
        MetricsOptions options,
        SeriesPlan plan,
        Ledger ledger,
        ILogger<PodAccounts> logger)
    {
        _metrics = metrics;
        _ledger = ledger;
        _labels = labels;
        _logger = logger;
        var (pods, namespaces) = (new SeriesPool(plan.PodLines), new SeriesPool(plan.NamespaceLines));
        _levels =
        [
            .. plan.Levels.Select(level => new LevelAccounts(
                level, labels.At(level.Level), pods, namespaces, plan.MaxPods, options.Retention, time, ledger, metrics.Folded, metrics.Retired)),
        ];
        metrics.SeriesLimit.Set(plan.MaxSeries);
        Restore();
    }

    /// <summary>How often <see cref="Settle"/> has ended: what is counted changes from one to the next.</summary>
    internal long Rounds => Volatile.Read(ref _rounds);

    /// <summary>How many sample lines the pods' series have.</summary>
    internal int Lines
    {
        get
        {
            lock (_lock)
            {
                return CountLines();
            }
        }
    }

    /// <summary>Reads all accounts while none of them changes.</summary>
    internal void Read(Action<IReadOnlyList<LevelAccounts>> read)
    {
        lock (_lock)
        {
            lock (_ledger.Lock)
            {
                read(_levels);
            }
        }
    }

    /// <summary>
    /// Opens the pod's account for one more interface: its own series, those it is folded into, or the total of excluded pods. Ends with
    /// <see cref="Release"/>.
    /// </summary>
    internal IPodAccount Acquire(PodIdentity pod)
    {
        if (pod.IsExcluded)
        {
            return _metrics.Excluded;
        }
        lock (_lock)
        {
            return new PodAccount([.. _levels.Select(level => (level, level.Acquire(pod.Labels)))]);
        }
    }

    /// <summary>Whether there are series that the pod would continue.</summary>
    internal bool HasSeries(PodIdentity pod)
    {
        lock (_lock)
        {
            return !pod.IsExcluded && _levels.All(level => level.HasOwn(pod.Labels));
        }
    }

    /// <summary>The account of the host's own network namespace.</summary>
    internal IPodAccount AcquireHost()
    {
        lock (_lock)
        {
            return new PodAccount([.. from level in _levels let host = level.AcquireHost(_labels.Host.Labels) where host is not null select (level, host)]);
        }
    }

    /// <summary>One interface less; after the last the series stay for the retention.</summary>
    internal void Release(IPodAccount counts)
    {
        if (counts is not PodAccount { Groups: var groups })
        {
            return;
        }
        lock (_lock)
        {
            foreach (var (level, group) in groups)
            {
                level.Release(group);
            }
        }
    }

    /// <summary>
    /// Expires the series of pods that are gone for longer than the retention, and admits waiting pods. Called once for each drain.
    /// </summary>
    internal void Settle()
    {
        var folded = 0;
        lock (_lock)
        {
            foreach (var level in _levels)
            {
                level.Expire();
            }
            lock (_ledger.Lock)
            {
                _ledger.Commit();
            }
            foreach (var level in _levels)
            {
                level.RemoveLeft();
                level.AdmitWaiting();
                folded += level.Folded;
            }
            _metrics.Series.Set(CountLines());
            Volatile.Write(ref _rounds, _rounds + 1);
        }
        _metrics.SeriesFolded.Set(folded);
        if (folded > 0 && _folding.Begins())
        {
            LogFolding(folded);
        }
        else if (folded == 0 && _folding.Ends())
        {
            LogUnfolded();
        }
    }

    /// <summary>
    /// Continues the records of a previous process. Counts that are shown otherwise now, or have no room any more, are in the total of retired ones.
    /// </summary>
    private void Restore()
    {
        foreach (var entry in _ledger.FindRestored(RecordKind.Group))
        {
            var key = GroupKey.Read(entry.Key);
            if (_levels.Any(level => level.TryRestore(key, entry)))
            {
                continue;
            }
            lock (_ledger.Lock)
            {
                foreach (var signal in _ledger.Signals.Where(signal => key.HasTotal(signal)))
                {
                    _metrics.Retired.Add(entry, signal);
                }
                _ledger.Open(RecordKind.Group, entry.Key, null).Remove();
            }
        }
        lock (_ledger.Lock)
        {
            _ledger.Commit();
        }
    }

    private int CountLines()
    {
        var lines = 0;
        foreach (var level in _levels)
        {
            lines += level.Lines;
        }
        return lines;
    }

    [LoggerMessage(50, LogLevel.Warning, "Series budget exhausted: {Folded} are counted under __other__, no data is lost; raise Metrics:MaxSeries or Metrics:MaxPods, or count less per pod")]
    private partial void LogFolding(int folded);

    [LoggerMessage(51, LogLevel.Information, "The series budget has room for all again")]
    private partial void LogUnfolded();

    /// <summary>A pod's accounts at every level.</summary>
    private sealed class PodAccount((LevelAccounts Level, Account Group)[] groups) : IPodAccount
    {
        internal (LevelAccounts Level, Account Group)[] Groups => groups;

        public bool IsFolded => groups.Any(found => found.Group.IsFolded);

        public void Add(RowFields fields, ReadOnlySpan<ulong> row)
        {
            foreach (var (_, group) in groups)
            {
                group.Add(fields, row);
            }
        }
    }
}
