namespace Exporter.Verification;

/// <summary>The result of a verification.</summary>
/// <param name="Problems">In the order in which they are printed; empty where all is right.</param>
/// <param name="Notes">Things to know that are not wrong.</param>
internal sealed record VerificationResult(RecordTotals Totals, IReadOnlyDictionary<InterfaceKey, InterfaceSums> Sums, IReadOnlyList<Findings> Problems, Findings Notes)
{
    internal bool IsRight => Problems.All(findings => findings.Count == 0);
}

/// <summary>How many lines and records there are.</summary>
/// <param name="Lines">Without empty ones.</param>
/// <param name="Flows">Distinct flow records, as the others are distinct.</param>
/// <param name="Repeats">Records that came again.</param>
internal sealed record RecordTotals(long Lines, long Flows, long Rest, long Intervals, long Identities, long Repeats, long BadLines)
{
    internal int Nodes { get; init; }

    /// <summary>Whether there is not a single record.</summary>
    internal bool HasNone => Flows + Rest + Intervals + Identities == 0;

    /// <summary>Records that the exporter counts as lost in these intervals.</summary>
    internal ulong Lost { get; init; }
}
