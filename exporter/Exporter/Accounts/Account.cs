using Exporter.Bpf;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>
/// Pods that share series at one level, and the ledger record that holds their counts: their own, or the record of the account they are folded into.
/// Counts stay where they were counted. <see cref="LevelAccounts"/> decides; adding is for the drain alone.
/// </summary>
/// <param name="plan">The columns of this level.</param>
/// <param name="folded">The total of all that is folded.</param>
internal sealed class Account(LabelValues labels, LevelPlan plan, Totals folded) : ILedgerView
{
    private Place? _place;
    private int _lines;
    private bool _hasNewLines;

    internal LabelValues Labels => labels;

    internal bool IsFolded => Into is not null;

    /// <summary>The account that it is counted with; null where it has its own record.</summary>
    internal Account? Into => Volatile.Read(ref _place)?.Into;

    /// <summary>Its own record, or that of the account that it is folded into.</summary>
    internal LedgerEntry Entry => Volatile.Read(ref _place)!.Entry;

    /// <summary>How many sample lines its own record has now.</summary>
    internal int Lines
    {
        get
        {
            if (_hasNewLines)
            {
                (_lines, _hasNewLines) = (CountLines(), false);
            }
            return _lines;
        }
    }

    /// <summary>Its labels as an exposition has them; null until it is written.</summary>
    internal byte[]? Text { get; set; }

    /// <summary>Where its lines came from; null where these have their room whatever comes.</summary>
    internal SeriesPool? Pool { get; private set; }

    /// <summary>How many lines of that are set aside for it.</summary>
    internal int HeldLines { get; set; }

    /// <summary>Whether it is the host's alone, which has fewer columns.</summary>
    internal bool IsOfHost { get; init; }

    /// <summary>It came back and found no room: the series that it had before were removed in this round.</summary>
    internal bool HasLeft { get; set; }

    /// <summary>Interfaces of its pods, or accounts that are folded into it.</summary>
    internal int Users { get; set; }

    /// <summary>When it last lost one.</summary>
    internal long ReleasedAt { get; set; }

    /// <summary>The weight of what was counted for it while it was folded.</summary>
    internal ulong FoldedWeight { get; private set; }

    /// <summary>From now on it has a record of its own, and room for so many lines of it.</summary>
    internal void Admit(LedgerEntry entry, SeriesPool? pool, int lines)
    {
        (Pool, HeldLines, _hasNewLines, entry.View) = (pool, lines, true, this);
        Volatile.Write(ref _place, new(entry, null));
    }

    internal void FoldInto(Account other) => Volatile.Write(ref _place, new(other.Entry, other));

    /// <summary>What was committed of a signal: all zero where nothing was counted, and empty where it has no columns for this account.</summary>
    internal ReadOnlySpan<ulong> ReadCommitted(LevelPlan.SignalPlan signal)
    {
        var row = IsOfHost && !signal.IsOfHost ? default : Entry.ReadCommitted(signal.Fields);
        return row.IsEmpty && !IsOfHost ? signal.Nothing : row;
    }

    internal void Add(RowFields fields, ReadOnlySpan<ulong> row)
    {
        var place = Volatile.Read(ref _place)!;
        place.Entry.Add(fields, row);
        if (place.Into is null)
        {
            return;
        }
        var signal = plan.PlanOf(fields);
        FoldedWeight += signal.WeightOf(row);
        if (signal.HasTotals)
        {
            folded.Add(fields, row);
        }
    }

    void ILedgerView.Show(RowFields fields, ReadOnlySpan<ulong> row) => _hasNewLines = true;

    void ILedgerView.Restore(RowFields fields, ReadOnlySpan<ulong> row) => _hasNewLines = true;

    private int CountLines()
    {
        if (IsFolded)
        {
            return 0;
        }
        var lines = 0;
        foreach (var signal in plan.Signals)
        {
            var row = ReadCommitted(signal);
            lines += row.IsEmpty ? 0 : signal.CountLines(row);
        }
        return lines;
    }

    private sealed record Place(LedgerEntry Entry, Account? Into);
}
