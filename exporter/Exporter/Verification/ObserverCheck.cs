namespace Exporter.Verification;

/// <summary>
/// Checks the intervals of one observer in their order: gaps, open ones, cumulative counts, and whether the missing records are among those that the
/// exporter counts as lost.
/// </summary>
/// <param name="span">Null: all records that ever were may be asked for.</param>
internal sealed class ObserverCheck(Observer observer, WholeSpan? span, Findings problems, Findings notes)
{
    private readonly (ulong First, ulong Last) _whole = span?.WholeIntervals(observer.Intervals) ?? (0, ulong.MaxValue);
    private readonly List<string> _incomplete = [];
    private readonly List<ObservedInterval> _missing = [];
    private ObservedInterval? _closed;
    private UInt128 _seen;
    private bool _exceedsIssued;

    /// <summary>The intervals of which records are missing that were not to be read; each gap is one.</summary>
    internal long Cut { get; private set; }

    internal void Run()
    {
        var last = observer.Intervals.Keys.DefaultIfEmpty().Max();
        ulong? previous = null;
        foreach (var (number, interval) in observer.Intervals.OrderBy(pair => pair.Key))
        {
            interval.Check(problems);
            if (previous is { } before && number - before - 1 is var gap and > 0)
            {
                Add(number >= _whole.First && before <= _whole.Last, $"{gap} {(gap == 1 ? "interval is" : "intervals are")} missing between {before} and {number} of {observer.Name}");
            }
            _seen += interval.IsClosed ? interval.Records : interval.Came;
            if (interval.IsClosed)
            {
                Continue(interval, isFirst: previous is null);
            }
            else if (number == last && IsWhole(number))
            {
                notes.Add($"{interval.Name} is open: {interval.Came} records came, and no closing record yet");
            }
            else
            {
                Add(IsWhole(number), $"{interval.Name} is open: {interval.Came} records came, but no closing record");
            }
            previous = number;
        }
        Report(_incomplete, problems, "");
        CheckMissing();
    }

    private void Continue(ObservedInterval interval, bool isFirst)
    {
        // Losses that were counted meanwhile explain an interval that was not written to its end.
        var isLost = interval.Last.Lost > (_closed?.First.Lost ?? observer.LostBefore);
        Report(_incomplete, isLost ? notes : problems, isLost ? "; lost records are counted meanwhile" : "");
        _incomplete.Clear();
        if (interval.Missing > 0 && !IsWhole(interval.Number))
        {
            Cut++;
        }
        else if (isFirst && interval.LacksBeginning)
        {
            // Older files were removed, as rotation does.
            notes.Add($"the files begin within {interval.Name}: they do not have its first {interval.Missing} records");
        }
        else if (interval.Missing > 0)
        {
            _missing.Add(interval);
        }
        if (_closed is { } before)
        {
            CheckForward("issued", interval, before.First.Issued, interval.Last.Issued);
            CheckForward("lost", interval, before.First.Lost, interval.Last.Lost);
            CheckAcknowledged(interval, before);
        }
        if (!_exceedsIssued && _seen > interval.Last.Issued)
        {
            _exceedsIssued = true;
            problems.Add($"{interval.Name}: {_seen} records are in the intervals up to it, but {interval.Last.Issued} were issued");
        }
        _closed = interval;
    }

    private bool IsWhole(ulong interval) => interval >= _whole.First && interval <= _whole.Last;

    private void Add(bool isWhole, string text)
    {
        if (isWhole)
        {
            _incomplete.Add(text);
        }
        else
        {
            Cut++;
        }
    }

    /// <summary>What an exporter that was killed had not noted as acknowledged, the next one counts as lost.</summary>
    private void CheckAcknowledged(ObservedInterval interval, ObservedInterval before)
    {
        var (first, last) = (before.First, interval.Last);
        if (last.Acknowledged < first.Acknowledged && last.Lost >= first.Lost + (first.Acknowledged - last.Acknowledged))
        {
            notes.Add($"{interval.Name}: {first.Acknowledged - last.Acknowledged} records that had arrived count as lost, as after a kill");
            return;
        }
        CheckForward("acknowledged", interval, first.Acknowledged, last.Acknowledged);
    }

    private void CheckForward(string name, ObservedInterval interval, ulong before, ulong now)
    {
        if (now < before)
        {
            problems.Add($"{interval.Name}: {name} goes back from {before} to {now}");
        }
    }

    /// <summary>Missing records are a problem where more of them are missing than the exporter counts as lost.</summary>
    private void CheckMissing()
    {
        var missing = _missing.Aggregate(UInt128.Zero, (sum, interval) => sum + interval.Missing);
        var isLost = missing <= observer.Lost;
        Report(
            _missing.Select(interval => $"{interval.Missing} {(interval.Missing == 1 ? "record is" : "records are")} missing in {interval.Name}"),
            isLost ? notes : problems,
            isLost ? "; counted as lost" : observer.Lost > 0 ? $"; {observer.Lost} are counted as lost, {missing} are missing" : "");
    }

    private static void Report(IEnumerable<string> texts, Findings findings, string reason)
    {
        foreach (var text in texts)
        {
            findings.Add(text + reason);
        }
    }
}
