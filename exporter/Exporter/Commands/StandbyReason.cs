namespace Exporter.Commands;

/// <summary>Why an exporter counts nothing.</summary>
internal enum StandbyReason
{
    /// <summary>Another one has the lock.</summary>
    Waiting,

    /// <summary>It was asked to remove everything.</summary>
    Uninstalled,
}
