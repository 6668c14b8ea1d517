using Exporter.Bpf.Contract;

namespace Exporter.State;

/// <summary>Shows what was committed.</summary>
internal interface ILedgerView
{
    /// <summary>Called for what a commit has added, when it is in force.</summary>
    void Show(in TrafficValue traffic);

    /// <summary>As the other.</summary>
    void Show(in HandshakeValue handshakes);

    /// <summary>Called once at the most, before all others, with what a former process had shown.</summary>
    void Restore(in LedgerCounts counts);
}
