namespace Exporter.Tests.Kubernetes;

internal enum Requests
{
    All,
    Lists,
    Watches,
}

/// <summary>How an answer ends before its time.</summary>
internal enum Breaking
{
    Not,

    /// <summary>No answer at all, the connection stays open.</summary>
    Unanswered,

    /// <summary>Nothing more is sent, the connection stays open.</summary>
    HalfOpen,

    /// <summary>FIN in the middle of a document, without an ending of TLS or HTTP.</summary>
    Cut,

    /// <summary>RST in the middle of a document.</summary>
    Reset,

    /// <summary>An ERROR event, then a clean end; for a list the HTTP status.</summary>
    Error,
}

/// <summary>What goes wrong with a request. Some can be combined.</summary>
internal sealed record Fault
{
    internal static Fault None { get; } = new();

    internal Requests On { get; init; }

    /// <summary>Answered with this status: 401, 403, 410, 429, 500, 503, 504; or 0.</summary>
    internal int Status { get; init; }

    /// <summary>Seconds in the header of that name; 0 for none.</summary>
    internal int RetryAfter { get; init; }

    internal Breaking Break { get; init; }

    /// <summary>Whole events of a watch before it breaks.</summary>
    internal int AfterEvents { get; init; }

    /// <summary>The code of the ERROR event: 410, 500, 504.</summary>
    internal int ErrorCode { get; init; } = 410;

    /// <summary>
    /// Where a document is cut or split. Without it: cut in its middle; a half-open watch after whole events; the n-th event of a
    /// watch is split at byte n, so that with enough of them every byte has its turn.
    /// </summary>
    internal int? AtByte { get; init; }

    /// <summary>Every event is in two chunks.</summary>
    internal bool Split { get; init; }

    /// <summary>Every byte is a chunk.</summary>
    internal bool ByteByByte { get; init; }

    /// <summary>The pause after every chunk, on the real clock.</summary>
    internal TimeSpan Pause { get; init; }

    /// <summary>Every event is sent twice.</summary>
    internal bool Twice { get; init; }

    /// <summary>Events are held back until there are as many, which are sent in one chunk.</summary>
    internal int EventsPerChunk { get; init; } = 1;

    /// <summary>The time from an event to its being sent, or before a list is answered, on the real clock.</summary>
    internal TimeSpan Delay { get; init; }

    internal bool Concerns(ApiRequest request) =>
        On switch
        {
            Requests.Lists => request.IsList,
            Requests.Watches => request.IsWatch,
            _ => request.IsList || request.IsWatch,
        };
}
