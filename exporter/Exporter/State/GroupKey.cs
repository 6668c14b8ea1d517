using Exporter.Bpf;
using Exporter.Pods;

namespace Exporter.State;

/// <summary>The part of the budget that the lines of a group are from.</summary>
internal enum GroupRoom : byte
{
    /// <summary>Set aside for it.</summary>
    Fixed,

    Pods,
    Namespaces,
}

/// <summary>The key of a group's record.</summary>
/// <param name="Totals">
/// The names of the signals whose counts go to the totals where they leave the record: counts of other signals are in records of another level, too.
/// Null: the first ledgers do not say it. Then these are the signals of the level, where there is such a level, else all.
/// </param>
/// <param name="IsHost">Whether it is the record of the host's own network namespace.</param>
internal sealed record GroupKey(SeriesLevel Level, IReadOnlyList<string> LabelNames, GroupRoom Room, IReadOnlyList<string>? Totals, bool IsHost, LabelValues Labels)
{
    /// <summary>Whether the counts of this signal that leave the record go to the totals.</summary>
    internal bool HasTotal(RowFields signal) => Totals?.Contains(signal.Name) ?? true;

    internal byte[] Write() => RecordKey.Write(writer =>
    {
        writer.Write((byte)Level);
        writer.Write((byte)Room);
        writer.Write(IsHost);
        writer.Write(Totals is not null);
        RecordKey.Write(writer, Totals ?? []);
        RecordKey.Write(writer, LabelNames);
        RecordKey.Write(writer, Labels.Values);
    });

    internal static GroupKey Read(byte[] key) => RecordKey.Read(key, reader =>
    {
        var (level, room, isHost, hasTotals) = ((SeriesLevel)reader.ReadByte(), (GroupRoom)reader.ReadByte(), reader.ReadBoolean(), reader.ReadBoolean());
        var totals = RecordKey.ReadTexts(reader);
        return new GroupKey(level, RecordKey.ReadTexts(reader), room, hasTotals ? totals : null, isHost, new(RecordKey.ReadTexts(reader)));
    });
}
