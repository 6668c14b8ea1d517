namespace Exporter.State;

/// <summary>What a record is of. The numbers are in ledgers that outlive the program.</summary>
internal enum RecordKind
{
    /// <summary>One total beside the pods' series.</summary>
    Total = 1,

    /// <summary>The series of one pod, workload or namespace.</summary>
    Group = 2,

    /// <summary>An interface, and whose it is. It counts what its pod's group counts too.</summary>
    Interface = 3,

    /// <summary>Traffic of an interface whose pod is not known yet.</summary>
    HeldTraffic = 4,

    /// <summary>Handshakes of a network namespace whose pod is not known yet.</summary>
    HeldHandshakes = 5,

    /// <summary>How many misses of one generation of handshake programs are in the total of them.</summary>
    MissedChanges = 6,
}
