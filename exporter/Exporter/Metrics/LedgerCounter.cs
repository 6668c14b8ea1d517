using System.Text;
using Exporter.Bpf.Contract;
using Exporter.State;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>A counter of the exporter's own that continues after a restart: what is shown is what the ledger has.</summary>
internal sealed class LedgerCounter : ILedgerView
{
    private readonly Counter.Child _shown;
    private readonly LedgerEntry _entry;

    /// <param name="name">Of its record; the same in every version.</param>
    internal LedgerCounter(Counter.Child shown, string name, Ledger ledger)
    {
        _shown = shown;
        _entry = ledger.Open(RecordKind.Total, Encoding.UTF8.GetBytes(name), this);
        shown.Publish();
    }

    /// <summary>With the next commit. Called with the ledger's lock.</summary>
    internal void Add(ulong count) => _entry.Add(Record(count));

    /// <summary>A record has the counters of the pods' series and no others; a number by itself is in one of them.</summary>
    internal static HandshakeValue Record(ulong count)
    {
        HandshakeValue record = default;
        record.Client.Failures[(int)HandshakeFailure.Other] = count;
        return record;
    }

    internal static ulong Read(in HandshakeValue record) => record.Client.Failures[(int)HandshakeFailure.Other];

    public void Show(in TrafficValue traffic)
    {
    }

    public void Show(in HandshakeValue handshakes) => _shown.Inc(Read(handshakes));

    // Not Inc: in a later session of this process the counter shows it already.
    public void Restore(in LedgerCounts counts) => _shown.IncTo(Read(counts.Handshakes));
}
