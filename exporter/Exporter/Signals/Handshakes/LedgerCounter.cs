using System.Text;
using Exporter.Bpf;
using Exporter.State;
using Prometheus;

namespace Exporter.Signals.Handshakes;

/// <summary>A counter of the exporter's own that continues after a restart: it shows the ledger's count.</summary>
internal sealed class LedgerCounter : ILedgerView
{
    private readonly Counter.Child _shown;
    private readonly LedgerEntry _entry;

    /// <param name="name">The name of its record; the same in every version.</param>
    internal LedgerCounter(Counter.Child shown, string name, Ledger ledger)
    {
        _shown = shown;
        _entry = ledger.Open(RecordKind.Total, Encoding.UTF8.GetBytes(name), this);
        shown.Publish();
    }

    /// <summary>With the next commit. Called with the ledger's lock.</summary>
    internal void Add(ulong count) => Add(_entry, count);

    /// <summary>A record has the counters of the pods' series and no others; a number by itself is in one of them.</summary>
    internal static void Add(LedgerEntry entry, ulong count)
    {
        HandshakeValue record = default;
        record.Client.Failures[(int)HandshakeFailure.Other] = count;
        entry.Add(HandshakeValue.Fields, RowFields.RowOf(record));
    }

    internal static ulong Read(LedgerEntry entry)
    {
        Span<ulong> total = stackalloc ulong[HandshakeValue.Fields.Count];
        entry.ReadTotal(HandshakeValue.Fields, total);
        return Read(total);
    }

    public void Show(RowFields fields, ReadOnlySpan<ulong> row) => _shown.Inc(Read(row));

    // Not Inc: in a later session of this process the counter shows it already.
    public void Restore(RowFields fields, ReadOnlySpan<ulong> row) => _shown.IncTo(Read(row));

    private static ulong Read(ReadOnlySpan<ulong> row) => RowFields.ValueOf<HandshakeValue>(row).Client.Failures[(int)HandshakeFailure.Other];
}
