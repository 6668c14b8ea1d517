namespace Exporter.Export;

/// <summary>The flow and rest records of a sink since the ledger's epoch; cumulative.</summary>
/// <param name="Issued">Acknowledged, lost or under way.</param>
/// <param name="Backpressure">As <see cref="LossReason"/>, as are those that follow.</param>
internal readonly record struct SinkCounts(
    long Issued, long Acknowledged, long Backpressure = 0, long Rejected = 0, long Shutdown = 0, long Crash = 0, long Changed = 0)
{
    internal static readonly IReadOnlyList<LossReason> Reasons = Enum.GetValues<LossReason>();

    internal long Lost => Backpressure + Rejected + Shutdown + Crash + Changed;

    internal long UnderWay => Issued - Acknowledged - Lost;

    internal long LostBy(LossReason reason) => reason switch
    {
        LossReason.Backpressure => Backpressure,
        LossReason.Rejected => Rejected,
        LossReason.Shutdown => Shutdown,
        LossReason.Crash => Crash,
        _ => Changed,
    };

    /// <summary>The same with so many more lost.</summary>
    internal SinkCounts WithLost(LossReason reason, long count) => reason switch
    {
        LossReason.Backpressure => this with { Backpressure = Backpressure + count },
        LossReason.Rejected => this with { Rejected = Rejected + count },
        LossReason.Shutdown => this with { Shutdown = Shutdown + count },
        LossReason.Crash => this with { Crash = Crash + count },
        _ => this with { Changed = Changed + count },
    };
}
