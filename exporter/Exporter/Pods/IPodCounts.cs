using Exporter.Bpf.Contract;

namespace Exporter.Pods;

/// <summary>Where that goes which was counted for a pod. Used by the drain alone.</summary>
internal interface IPodCounts
{
    /// <summary>Whether it has not all series of its own. May be asked by anybody.</summary>
    bool IsFolded { get; }

    void Add(in TrafficValue traffic);

    void Add(in HandshakeValue handshakes);
}
