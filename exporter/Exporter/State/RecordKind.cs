namespace Exporter.State;

/// <summary>The kind of a record's owner. The numbers are in ledgers that outlive the program.</summary>
internal enum RecordKind
{
    /// <summary>One total beside the pods' series.</summary>
    Total = 1,

    /// <summary>The series of one pod, workload or namespace.</summary>
    Group = 2,

    /// <summary>An interface, and whose it is. It counts what its pod's group counts too.</summary>
    Interface = 3,

    /// <summary>Counts of one signal that wait for their pod to be known. Its key has the signal and the number of the owner.</summary>
    Held = 7,

    /// <summary>A record that only one signal uses. Its key has the signal and a number.</summary>
    OfSignal = 8,

    /// <summary>The series of one edge: a workload, or namespace, and a peer.</summary>
    Edge = 9,
}
