namespace Exporter.Signals.Uplinks;

/// <summary>The drain of uplinks.</summary>
internal sealed class UplinkDrain(UplinkRows rows, UplinkTable table, UplinkPrograms programs, SessionContext context)
    : SignalDrain<UplinkKey, UplinkRow, UplinkReading>(UplinkRow.Fields, rows, rows, context)
{
    internal override BackgroundService? Loop => Follow;

    /// <summary>Follows the interfaces, and attaches the programs.</summary>
    internal UplinkLoop? Follow { get; set; }

    private protected override void OnCounted(UplinkReading owner, ReadOnlySpan<ulong> row) => owner.Commit(row);

    /// <summary>No program counts into the maps of another version since the programs were loaded, and now they are read to their ends.</summary>
    private protected override void OnDrained()
    {
        if (programs.Values.Count == 1)
        {
            return;
        }
        programs.RemovePrevious();
        lock (Context.Ledger.Lock)
        {
            foreach (var reading in table.All.SelectMany(uplink => uplink.Readings.Skip(1).Where(reading => reading.IsOfMap)))
            {
                reading.Forget();
            }
            Context.Ledger.Commit();
        }
        foreach (var uplink in table.All)
        {
            uplink.Readings = [uplink.Readings[0], uplink.Readings[^1]];
        }
    }
}
