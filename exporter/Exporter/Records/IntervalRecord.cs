namespace Exporter.Records;

/// <summary>The end of a node's interval, for one sink.</summary>
internal sealed class IntervalRecord
{
    /// <summary>The number of the record in its interval: the last.</summary>
    internal long Sequence { get; set; }

    /// <summary>The name of the sink that the record is written to. The record has it in its id alone.</summary>
    internal string Sink { get; set; } = "";

    /// <summary>Flow and rest records of this interval.</summary>
    internal ulong Records { get; set; }

    /// <summary>Bytes of their JSON lines.</summary>
    internal ulong Bytes { get; set; }

    /// <summary>Flow and rest records for this sink since the epoch began.</summary>
    internal ulong Issued { get; set; }

    /// <summary>Those that the sink has.</summary>
    internal ulong Acknowledged { get; set; }

    /// <summary>Those that the sink will not get.</summary>
    internal ulong Lost { get; set; }
}
