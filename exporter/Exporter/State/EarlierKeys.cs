using Exporter.Pods;

namespace Exporter.State;

/// <summary>Translates keys of earlier ledgers, which knew two signals: a bit for each in keys of groups, and kinds of records of their own.</summary>
internal static class EarlierKeys
{
    /// <summary>The key has no byte for the totals, as the first.</summary>
    private const byte Unknown = 0xff;

    /// <summary>By their bits.</summary>
    private static readonly string[] Signals = ["traffic", "handshakes"];

    /// <summary>A key of the first ledgers, with or without a byte for the totals: behind that the number of label names, two bytes, is not zero.</summary>
    internal static (RecordKind Kind, byte[] Key) TranslateFirst(RecordKind kind, byte[] key) =>
        Translate(kind, kind == RecordKind.Group && key[4] == 0 ? [.. key[..2], Unknown, .. key[2..]] : key);

    internal static (RecordKind Kind, byte[] Key) Translate(RecordKind kind, byte[] key) => (int)kind switch
    {
        (int)RecordKind.Group => (kind, TranslateGroup(key)),
        4 => (RecordKind.Held, RecordKey.Of(Signals[0], RecordKey.ReadNumber(key))),
        5 => (RecordKind.Held, RecordKey.Of(Signals[1], RecordKey.ReadNumber(key))),
        6 => (RecordKind.OfSignal, RecordKey.Of(Signals[1], RecordKey.ReadNumber(key))),
        _ => (kind, key),
    };

    private static byte[] TranslateGroup(byte[] key) => RecordKey.Read(key, reader =>
    {
        var (level, room, totals, isHost) = ((SeriesLevel)reader.ReadByte(), (GroupRoom)reader.ReadByte(), reader.ReadByte(), !reader.ReadBoolean());
        string[]? signals = totals >= 1 << Signals.Length ? null : [.. Signals.Where((_, bit) => (totals & (1 << bit)) != 0)];
        return new GroupKey(level, RecordKey.ReadTexts(reader), room, signals, isHost, new(RecordKey.ReadTexts(reader)));
    }).Write();
}
