using Exporter.Pods;
using Exporter.State;

namespace Exporter.Edges;

/// <summary>
/// An edge: the pods at one end and their peer at the other, from the pods' view. Values are the labels' values; those that begin with two underscores are
/// the exporter's own.
/// </summary>
/// <param name="Workload">Empty where edges are of namespaces.</param>
/// <param name="PeerKind">service, workload, node or class.</param>
/// <param name="PeerNamespace">Empty where the peer has no namespace.</param>
internal readonly record struct EdgeKey(string Namespace, string Workload, string WorkloadKind, string PeerKind, string PeerNamespace, string Peer)
{
    /// <summary>Stands for everything that is folded: peers of a workload, workloads of a namespace, all namespaces.</summary>
    internal const string Other = "__other__";

    /// <summary>The peer of traffic that is in no flow.</summary>
    internal const string Unrecorded = "__unrecorded__";

    /// <summary>Whether it is one of the two edges that each owner has room for.</summary>
    internal bool IsReserved => PeerKind is Other or Unrecorded;

    internal bool IsUnrecorded => PeerKind == Unrecorded;

    /// <summary>The same without the peer.</summary>
    internal EdgeKey Owner => this with { PeerKind = "", PeerNamespace = "", Peer = "" };

    internal EdgeKey ToOther => this with { PeerKind = Other, PeerNamespace = "", Peer = Other };

    /// <summary>The edge of traffic of the same pods that is in no flow.</summary>
    internal EdgeKey ToUnrecorded => this with { PeerKind = Unrecorded, PeerNamespace = "", Peer = Unrecorded };

    /// <summary>The edge of traffic that is in no flow. It has bytes and packets alone: no connections and no round-trip times.</summary>
    internal static EdgeKey UnrecordedOf(string ns, string workload, string workloadKind) => new(ns, workload, workloadKind, Unrecorded, "", Unrecorded);

    /// <summary>The same with values that can be shown, as <see cref="LabelValues.MakeSafe()"/> makes them.</summary>
    internal EdgeKey MakeSafe()
    {
        var owner = this with { Namespace = LabelValues.MakeSafe(Namespace), Workload = LabelValues.MakeSafe(Workload), WorkloadKind = LabelValues.MakeSafe(WorkloadKind) };
        return IsReserved
            ? owner
            : owner with { PeerKind = LabelValues.MakeSafe(PeerKind), PeerNamespace = LabelValues.MakeSafe(PeerNamespace), Peer = LabelValues.MakeSafe(Peer) };
    }

    /// <summary>The key of its record in the ledger.</summary>
    internal byte[] Write(EdgeLevel level)
    {
        string[] texts = [Namespace, Workload, WorkloadKind, PeerKind, PeerNamespace, Peer];
        return RecordKey.Write(writer =>
        {
            writer.Write((byte)level);
            RecordKey.Write(writer, texts);
        });
    }

    internal static (EdgeLevel Level, EdgeKey Key) Read(byte[] key) => RecordKey.Read(key, reader =>
    {
        var (level, texts) = ((EdgeLevel)reader.ReadByte(), RecordKey.ReadTexts(reader));
        return (level, new EdgeKey(texts[0], texts[1], texts[2], texts[3], texts[4], texts[5]));
    });

    /// <summary>By the values, in the order of the labels.</summary>
    internal int CompareTo(in EdgeKey other) =>
        Compare(Namespace, other.Namespace) is not 0 and var byNamespace ? byNamespace
        : Compare(Workload, other.Workload) is not 0 and var byWorkload ? byWorkload
        : Compare(WorkloadKind, other.WorkloadKind) is not 0 and var byWorkloadKind ? byWorkloadKind
        : Compare(PeerKind, other.PeerKind) is not 0 and var byPeerKind ? byPeerKind
        : Compare(PeerNamespace, other.PeerNamespace) is not 0 and var byPeerNamespace ? byPeerNamespace
        : Compare(Peer, other.Peer);

    /// <summary>Of the values that differ most; the kinds follow from them nearly always.</summary>
    public override int GetHashCode() => HashCode.Combine(Namespace, Workload, PeerNamespace, Peer);

    private static int Compare(string left, string right) => string.CompareOrdinal(left, right);
}
