namespace Exporter.Engine.Tests.Golden;

/// <summary>How the destination takes a conversation.</summary>
internal enum Outcome
{
    /// <summary>Answered, and closed after the last step.</summary>
    Answered,

    /// <summary>Answered, and never closed: it becomes idle.</summary>
    Kept,

    /// <summary>A SYN is answered by a reset.</summary>
    Refused,

    /// <summary>A SYN, or a datagram, is not answered.</summary>
    Unanswered,

    /// <summary>Of folded connections, some are refused and others are not answered: they have no state in common.</summary>
    Mixed,

    /// <summary>A SYN is answered, the answer never acknowledged.</summary>
    HalfOpen,
}
