namespace Exporter.Records;

/// <summary>The state of a TCP connection at the reading.</summary>
internal enum FlowState : byte
{
    /// <summary>A SYN younger than 3 s has no answer.</summary>
    Opening,

    /// <summary>An older SYN has no answer.</summary>
    Unanswered,

    /// <summary>The SYN was answered by a reset.</summary>
    Refused,

    /// <summary>The SYN was answered, the answer never acknowledged.</summary>
    HalfOpen,

    Open,
    Closed,
}
