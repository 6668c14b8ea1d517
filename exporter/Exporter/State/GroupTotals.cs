namespace Exporter.State;

/// <summary>What of a record its series show, in part at least. The sum of these over all levels is all that was counted.</summary>
[Flags]
internal enum GroupTotals : byte
{
    None = 0,
    Traffic = 1,
    Handshakes = 2,

    /// <summary>Of the first ledgers, whose keys do not say it: those that the level has now, where there is such a level, else both.</summary>
    Unknown = Traffic | Handshakes | 4,
}
