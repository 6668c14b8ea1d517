using Exporter.Bpf.Netlink;
using Exporter.Options;
using Exporter.Pods;

namespace Exporter.State;

/// <summary>Which part of the budget the lines of a group are from.</summary>
internal enum GroupRoom : byte
{
    /// <summary>Set aside for it.</summary>
    Fixed,

    Pods,
    Namespaces,
}

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

/// <summary>What the record of a group is found by.</summary>
/// <param name="Totals">Those of its level: what is not among them is in the records of another level, and counted there.</param>
/// <param name="HasTraffic">Else it has handshakes alone.</param>
internal sealed record GroupKey(SeriesLevel Level, IReadOnlyList<string> LabelNames, GroupRoom Room, GroupTotals Totals, bool HasTraffic, LabelValues Labels)
{
    internal byte[] Write() => RecordKey.Write(writer =>
    {
        writer.Write((byte)Level);
        writer.Write((byte)Room);
        writer.Write((byte)Totals);
        writer.Write(HasTraffic);
        RecordKey.Write(writer, LabelNames);
        RecordKey.Write(writer, Labels.Values);
    });

    /// <summary>A key of the first ledgers, with or without a byte for the totals: behind that the number of label names, two bytes, is not zero.</summary>
    internal static byte[] AddTotals(byte[] key) => key[4] != 0 ? key : [.. key[..2], (byte)GroupTotals.Unknown, .. key[2..]];

    internal static GroupKey Read(byte[] key) => RecordKey.Read(key, reader =>
    {
        var (level, room, totals, hasTraffic) = ((SeriesLevel)reader.ReadByte(), (GroupRoom)reader.ReadByte(), (GroupTotals)reader.ReadByte(), reader.ReadBoolean());
        return new GroupKey(level, RecordKey.ReadTexts(reader), room, totals, hasTraffic, new(RecordKey.ReadTexts(reader)));
    });
}

/// <summary>What the record of an interface says.</summary>
/// <param name="Network">The namespace that it leads to, by the number that the BPF programs know it by; 0 where that is not known.</param>
/// <param name="LabelNames">Those that <paramref name="Pod"/> has values of.</param>
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
        return HasMore(reader) && RecordKey.ReadOptional(reader) is { } ticks ? read with { BornAfter = new((long)ticks, TimeSpan.Zero) } : read;

        static bool HasMore(BinaryReader reader) => reader.BaseStream.Position < reader.BaseStream.Length;
    });
}

/// <summary>How keys are written.</summary>
internal static class RecordKey
{
    /// <summary>Of what is held for an interface or a namespace.</summary>
    internal static byte[] Of(ulong number) => BitConverter.GetBytes(number);

    internal static ulong ReadNumber(byte[] key) => BitConverter.ToUInt64(key);

    internal static byte[] Write(Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        write(writer);
        writer.Flush();
        return stream.ToArray();
    }

    internal static T Read<T>(byte[] key, Func<BinaryReader, T> read)
    {
        using var reader = new BinaryReader(new MemoryStream(key));
        return read(reader);
    }

    internal static void Write(BinaryWriter writer, IReadOnlyList<string> texts)
    {
        writer.Write((ushort)texts.Count);
        foreach (var text in texts)
        {
            writer.Write(text);
        }
    }

    internal static void Write(BinaryWriter writer, ulong? number)
    {
        writer.Write(number is not null);
        writer.Write(number ?? 0);
    }

    internal static ulong? ReadOptional(BinaryReader reader)
    {
        var (isKnown, number) = (reader.ReadBoolean(), reader.ReadUInt64());
        return isKnown ? number : null;
    }

    internal static string[] ReadTexts(BinaryReader reader)
    {
        var texts = new string[reader.ReadUInt16()];
        for (var i = 0; i < texts.Length; i++)
        {
            texts[i] = reader.ReadString();
        }
        return texts;
    }
}
