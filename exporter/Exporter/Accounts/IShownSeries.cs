namespace Exporter.Accounts;

/// <summary>Series of the same families and labels, as an exposition writes them. Used with the ledger's lock.</summary>
internal interface IShownSeries
{
    /// <summary>The families, and the columns that each has.</summary>
    LevelPlan Plan { get; }

    /// <summary>The names of the labels that the series begin with.</summary>
    IReadOnlyList<string> LabelNames { get; }

    /// <summary>Sample lines of all series.</summary>
    int Lines { get; }

    /// <summary>The accounts that have a block, in the order in which they are written.</summary>
    List<Account> FindShown();
}
