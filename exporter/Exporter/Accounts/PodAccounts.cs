using Exporter.Bpf;
using Exporter.Health;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>
/// The accounts of the pods, within one budget of sample lines. A block of a pod's series exists from its first count until the retention after the pod's last
/// interface. Blocks that do not fit are folded into <c>__other__</c>, of their namespace or of all. ADR 5 has the reasons. The ledger's lock is the one of all
/// accounts: no account changes while a drain adds to it, or a scrape is written.
/// </summary>
internal sealed partial class PodAccounts
{
    private readonly AccountMetrics _metrics;
    private readonly PodLabels _labels;
    private readonly LevelAccounts[] _levels;
    private readonly LevelAccounts[] _podLevels;

    /// <summary>The levels, and the series beside them.</summary>
    private readonly List<IShownSeries> _shown;
    private readonly IReadOnlyList<AccountTotal> _totals;

    /// <summary>Settle the series beside the levels.</summary>
    private readonly List<Action> _settling = [];
    private readonly Ledger _ledger;
    private readonly ILogger<PodAccounts> _logger;

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
        var pool = new SeriesPool(plan);
        _levels =
        [
            .. plan.Levels.Select(level => new LevelAccounts(
                level, labels.At(level.Level), pool, options.Retention, time, ledger, metrics.Folded, metrics.Retired)),
        ];
        _podLevels = [.. _levels.Where(level => level.Plan.IsOfPods)];
        _shown = [.. _levels];
        _totals = metrics.Show(CountLines, CountWaiting);
        metrics.SeriesLimit.Set(plan.MaxSeries);
        Restore();
    }

    /// <summary>How often <see cref="Settle"/> has ended: committed counts change from one to the next.</summary>
    internal long Rounds => Volatile.Read(ref _rounds);

    /// <summary>How many sample lines the pods' series have.</summary>
    internal int Lines
    {
        get
        {
            lock (_ledger.Lock)
            {
                return CountLines();
            }
        }
    }

    /// <summary>Shows more series beside the pods', whose lines <see cref="SeriesPlan.Beside"/> has set aside.</summary>
    /// <param name="settle">Expires and admits series. Called with the ledger's lock, at each <see cref="Settle"/>.</param>
    internal void Include(IShownSeries series, Action settle)
    {
        lock (_ledger.Lock)
        {
            _shown.Add(series);
            _settling.Add(settle);
        }
    }

    /// <summary>Reads all accounts while none of them changes.</summary>
    internal void Read(Action<IReadOnlyList<IShownSeries>, IReadOnlyList<AccountTotal>> read)
    {
        lock (_ledger.Lock)
        {
            read(_shown, _totals);
        }
    }

    /// <summary>
    /// Opens the pod's account for one more interface, or the total of excluded pods. Ends with <see cref="Release"/>.
    /// </summary>
    internal IPodAccount Acquire(PodIdentity pod)
    {
        if (pod.IsExcluded)
        {
            return _metrics.Excluded;
        }
        lock (_ledger.Lock)
        {
            return new PodAccount(_ledger, [.. _podLevels.Select(level => (level, level.Acquire(pod.Labels)))]);
        }
    }

    /// <summary>The account of the host's own network namespace.</summary>
    internal IPodAccount AcquireHost()
    {
        lock (_ledger.Lock)
        {
            return new PodAccount(_ledger, [.. from level in _podLevels let host = level.AcquireHost(_labels.Host.Labels) where host is not null select (level, host)]);
        }
    }

    /// <summary>Opens the account of an interface of the node. Ends with <see cref="Release"/>.</summary>
    internal IPodAccount AcquireInterface(string name)
    {
        lock (_ledger.Lock)
        {
            return new PodAccount(_ledger, [.. _levels.Where(level => !level.Plan.IsOfPods).Select(level => (level, level.AcquireInterface(new(name))))]);
        }
    }

    /// <summary>Another interface has this name now: its series begin at zero.</summary>
    internal void RetireInterface(string name)
    {
        lock (_ledger.Lock)
        {
            foreach (var level in _levels.Where(level => !level.Plan.IsOfPods))
            {
                level.RetireInterface(new(name));
            }
        }
    }

    /// <summary>One interface less; after the last the series stay for the retention.</summary>
    internal void Release(IPodAccount counts)
    {
        if (counts is not PodAccount { Accounts: var accounts })
        {
            return;
        }
        lock (_ledger.Lock)
        {
            foreach (var (level, account) in accounts)
            {
                level.Release(account);
            }
        }
    }

    /// <summary>
    /// Expires the series of pods that are gone for longer than the retention, and gives their lines to blocks that wait. Called once for each drain, and allocates
    /// only when something changes.
    /// </summary>
    internal void Settle()
    {
        var folded = 0;
        lock (_ledger.Lock)
        {
            foreach (var level in _levels)
            {
                level.Expire();
            }
            // Before the pods, which can have the rest of the share.
            AdmitWaiting(GroupRoom.Namespaces);
            AdmitWaiting(GroupRoom.Pods);
            foreach (var settle in _settling)
            {
                settle();
            }
            _ledger.Commit();
            var kinds = _metrics.SeriesFolded.Labels[0].Values;
            for (var kind = 0; kind < kinds.Count; kind++)
            {
                folded += CountWaiting(kinds[kind]);
            }
            Volatile.Write(ref _rounds, _rounds + 1);
        }
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
        lock (_ledger.Lock)
        {
            foreach (var entry in _ledger.FindRestored(RecordKind.Group))
            {
                var key = GroupKey.Read(entry.Key);
                if (_levels.Any(level => level.TryRestore(key, entry)))
                {
                    continue;
                }
                foreach (var signal in _ledger.Signals.Where(signal => key.HasTotal(signal)))
                {
                    _metrics.Retired.Add(entry, signal);
                }
                _ledger.Open(RecordKind.Group, entry.Key, null).Remove();
            }
            _ledger.Commit();
        }
    }

    private void AdmitWaiting(GroupRoom room)
    {
        foreach (var level in _levels)
        {
            level.AdmitWaiting(room);
        }
    }

    private int CountWaiting(string kind)
    {
        var waiting = 0;
        foreach (var level in _levels)
        {
            waiting += level.CountWaiting(kind);
        }
        return waiting;
    }

    private int CountLines()
    {
        var lines = 0;
        foreach (var series in _shown)
        {
            lines += series.Lines;
        }
        return lines;
    }

    [LoggerMessage(50, LogLevel.Warning, "Series budget exhausted: {Folded} blocks of series are counted under __other__, no data is lost; raise Metrics:MaxSeries or Metrics:MaxPods, or count less per pod")]
    private partial void LogFolding(int folded);

    [LoggerMessage(51, LogLevel.Information, "The series budget has room for all again")]
    private partial void LogUnfolded();

    /// <summary>A pod's accounts at every level.</summary>
    private sealed class PodAccount(Ledger ledger, (LevelAccounts Level, Account Account)[] accounts) : IPodAccount
    {
        internal (LevelAccounts Level, Account Account)[] Accounts => accounts;

        public IReadOnlyList<string> FindFolded()
        {
            lock (ledger.Lock)
            {
                return [.. accounts.SelectMany(found => found.Level.Plan.KindsOf(found.Account.Waiting)).Distinct()];
            }
        }

        public void Read(RowFields fields, Span<ulong> row)
        {
            row.Clear();
            lock (ledger.Lock)
            {
                foreach (var (level, account) in accounts)
                {
                    if (level.Plan.PlanOf(fields) is { HasTotals: true } signal)
                    {
                        account.ReadCommitted(signal).CopyTo(row);
                    }
                }
            }
        }

        public void Add(RowFields fields, ReadOnlySpan<ulong> row)
        {
            foreach (var (level, account) in accounts)
            {
                level.Add(account, fields, row);
            }
        }
    }
}
