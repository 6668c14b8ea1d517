using Exporter.Bpf;
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

/// <summary>What the record of a group is found by.</summary>
/// <param name="Totals">Those of its level: what is not among them is in the records of another level, and counted there.</param>
/// <param name="HasTraffic">Else it is the host's.</param>
internal sealed record GroupKey(SeriesLevel Level, IReadOnlyList<string> LabelNames, GroupRoom Room, GroupTotals Totals, bool HasTraffic, LabelValues Labels)
{
    /// <summary>Whether the totals have what is not in the record, of this signal.</summary>
    internal bool HasTotal(RowFields signal) => Totals.HasFlag(TotalOf(signal));

    internal static GroupTotals TotalOf(RowFields signal) => Enum.Parse<GroupTotals>(signal.Name, ignoreCase: true);

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
