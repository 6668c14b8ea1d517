namespace Exporter.Export;

/// <summary>A record of a batch. It is valid while the batch is.</summary>
/// <param name="line">JSON, which ends in '\n'.</param>
/// <param name="key">The key by which a sink distributes records; the same for records that have to keep their order.</param>
internal readonly ref struct ExportRecord(ReadOnlySpan<byte> line, ReadOnlySpan<byte> key, LineKind kind)
{
    internal ReadOnlySpan<byte> Line { get; } = line;

    internal ReadOnlySpan<byte> Key { get; } = key;

    internal LineKind Kind { get; } = kind;

    /// <summary>Whether <see cref="SinkCounts"/> count it.</summary>
    internal bool IsCounted => Kind is LineKind.Flow or LineKind.Rest;
}
