using Exporter.Bpf;

namespace Exporter.Signals.Handshakes;

/// <summary>State of the handshake programs beside their rows. The seam that the kernel is behind.</summary>
internal interface IHandshakeState
{
    /// <summary>How many handshakes could not be counted, since the programs were loaded.</summary>
    ulong ReadLoss(HandshakeLoss reason);

    /// <summary>
    /// Attaches a second program if the kernel skips the first, which ends that. Returns how many changes of sockets' states were missed before; valid
    /// until the next call.
    /// </summary>
    ReadOnlySpan<MissedChanges> ReadMissed();

    /// <summary>The misses that were read are committed.</summary>
    void ForgetMissed();

    /// <summary>The handshakes that are being retransmitted; valid until the next call.</summary>
    ReadOnlySpan<DrainedRow<HandshakeFlow, RetransmittedHandshake>> ReadRetransmitted();

    /// <summary>Forgets one of them. Returns whether it was still there.</summary>
    bool TryRemove(in HandshakeFlow flow);
}
