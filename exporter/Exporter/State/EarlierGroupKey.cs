using Exporter.Pods;

namespace Exporter.State;

/// <summary>Translates keys of groups of earlier ledgers, which have a bit for each of the two signals that there were.</summary>
internal static class EarlierGroupKey
{
    /// <summary>The key has no byte for the totals, as the first.</summary>
    private const byte Unknown = 0xff;

    /// <summary>By their bits.</summary>
    private static readonly string[] Signals = ["traffic", "handshakes"];

    /// <summary>A key of the first ledgers, with or without a byte for the totals: behind that the number of label names, two bytes, is not zero.</summary>
    internal static byte[] TranslateFirst(byte[] key) => Translate(key[4] != 0 ? key : [.. key[..2], Unknown, .. key[2..]]);

    internal static byte[] Translate(byte[] key) => RecordKey.Read(key, reader =>
    {
        var (level, room, totals, isHost) = ((SeriesLevel)reader.ReadByte(), (GroupRoom)reader.ReadByte(), reader.ReadByte(), !reader.ReadBoolean());
        string[]? signals = totals >= 1 << Signals.Length ? null : [.. Signals.Where((_, bit) => (totals & (1 << bit)) != 0)];
        return new GroupKey(level, RecordKey.ReadTexts(reader), room, signals, isHost, new(RecordKey.ReadTexts(reader)));
    }).Write();
}
