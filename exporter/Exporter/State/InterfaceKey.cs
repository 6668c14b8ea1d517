using Exporter.Bpf.Netlink;
using Exporter.Pods;

namespace Exporter.State;

/// <summary>The key of an interface's record.</summary>
/// <param name="Network">The peer namespace, by the number that the BPF programs know it by; 0 where that is not known.</param>
/// <param name="LabelNames">The labels that <paramref name="Pod"/> has values of.</param>
/// <param name="Pod">Null: not known.</param>
internal sealed record InterfaceKey(long Generation, Link Link, DateTimeOffset SeenAt, ulong Network, IReadOnlyList<string> LabelNames, PodIdentity? Pod)
{
    /// <summary>As <see cref="LinkIdentity.Birth"/>.</summary>
    internal ulong Birth { get; init; }

    internal UncountedPackets Uncounted { get; init; }

    /// <summary>As <see cref="PodInterface.BornAfter"/>.</summary>
    internal DateTimeOffset? BornAfter { get; init; }

    /// <summary>Stand for the pod's namespace and name among the values of its labels, which have no control characters.</summary>
    private const string NamespaceAgain = "\u0001";

    private const string NameAgain = "\u0002";

    internal byte[] Write()
    {
        var key = Write(Pod?.Labels.Values ?? []);
        // The longest names do not fit in twice. Only they are shortened: an earlier version reads all others.
        return key.Length <= Ledger.KeyRoom || Pod is null
            ? key
            : Write([.. Pod.Labels.Values.Select(value => value == Pod.Name ? NameAgain : value == Pod.Namespace ? NamespaceAgain : value)]);
    }

    private byte[] Write(IReadOnlyList<string> labels) => RecordKey.Write(writer =>
    {
        writer.Write(Generation);
        writer.Write(Link.Ifindex);
        writer.Write(Link.Name);
        writer.Write(Link.Kind);
        writer.Write(Link.HardwareAddress);
        writer.Write(Link.PeerIfindex);
        writer.Write(Link.PeerNamespaceId ?? -1);
        writer.Write(SeenAt.UtcTicks);
        writer.Write(Network);
        writer.Write(Pod is not null);
        if (Pod is not null)
        {
            writer.Write(Pod.Namespace);
            writer.Write(Pod.Name);
            writer.Write(Pod.IsExcluded);
            RecordKey.Write(writer, LabelNames);
            RecordKey.Write(writer, labels);
        }
        // Last, since earlier versions read what they know, and leave the rest.
        writer.Write(Birth);
        RecordKey.Write(writer, Uncounted.Transmitted);
        RecordKey.Write(writer, Uncounted.Received);
        RecordKey.Write(writer, (ulong?)BornAfter?.UtcTicks);
        writer.Write(Pod?.Workload == Pod?.Name ? NameAgain : Pod?.Workload ?? "");
        writer.Write(Pod?.WorkloadKind ?? "");
        writer.Write(Pod?.IsWithoutFlows == true);
    });

    internal static InterfaceKey Read(byte[] key) => RecordKey.Read(key, reader =>
    {
        var generation = reader.ReadInt64();
        var (ifindex, name, kind, address, peer, ns) = (reader.ReadInt32(), reader.ReadString(), reader.ReadString(), reader.ReadUInt64(), reader.ReadInt32(), reader.ReadInt32());
        var (seenAt, network) = (new DateTimeOffset(reader.ReadInt64(), TimeSpan.Zero), reader.ReadUInt64());
        var link = new Link(ifindex, name, kind, address, peer, ns < 0 ? null : ns);
        string[] names = [];
        PodIdentity? pod = null;
        if (reader.ReadBoolean())
        {
            var (podNamespace, podName, isExcluded) = (reader.ReadString(), reader.ReadString(), reader.ReadBoolean());
            names = RecordKey.ReadTexts(reader);
            var labels = RecordKey.ReadTexts(reader).Select(value => value switch { NameAgain => podName, NamespaceAgain => podNamespace, _ => value });
            pod = new(podNamespace, podName, new([.. labels]), isExcluded);
        }
        var read = new InterfaceKey(generation, link, seenAt, network, names, pod);
        // Earlier versions have written no more, or no time of birth.
        if (HasMore(reader))
        {
            read = read with { Birth = reader.ReadUInt64(), Uncounted = new(RecordKey.ReadOptional(reader), RecordKey.ReadOptional(reader)) };
        }
        if (HasMore(reader) && RecordKey.ReadOptional(reader) is { } ticks)
        {
            read = read with { BornAfter = new((long)ticks, TimeSpan.Zero) };
        }
        if (HasMore(reader) && pod is not null)
        {
            var (workload, workloadKind, isWithoutFlows) = (reader.ReadString(), reader.ReadString(), reader.ReadBoolean());
            read = read with { Pod = pod with { Workload = workload == NameAgain ? pod.Name : workload, WorkloadKind = workloadKind, IsWithoutFlows = isWithoutFlows } };
        }
        return read;

        static bool HasMore(BinaryReader reader) => reader.BaseStream.Position < reader.BaseStream.Length;
    });
}
