namespace Exporter.Commands;

/// <summary>Why counting has ended.</summary>
internal enum SessionOutcome
{
    /// <summary>Options have changed.</summary>
    OptionsChanged,

    /// <summary>The process is to end.</summary>
    End,

    /// <summary>The process is to end, and its DaemonSet was deleted: nothing may outlive it.</summary>
    Unpin,

    /// <summary>The same, and another DaemonSet of its name is there, whose exporter counts here next.</summary>
    UnpinForSuccessor,

    /// <summary>Somebody wants everything removed.</summary>
    Remove,

    /// <summary>A loop has failed.</summary>
    Failed,
}
