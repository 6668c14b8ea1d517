namespace Exporter.Export;

/// <summary>The kinds of lines. Flow and rest records are counted for each sink, as issued, acknowledged or lost; the others are not.</summary>
internal enum LineKind : byte
{
    Flow,
    Rest,
    Identity,

    /// <summary>The record that closes an interval. In the ring it has no line: each sink has one of its own.</summary>
    Interval,
}
