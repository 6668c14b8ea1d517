namespace Exporter.Export.Elasticsearch;

/// <summary>How far a record of a batch is.</summary>
internal enum BulkItemState : byte
{
    /// <summary>It is to be sent, for the first time or again.</summary>
    Pending,

    /// <summary>It is in its index, or does not belong there.</summary>
    Done,

    /// <summary>It was refused, and other records have yet to show whose fault that is.</summary>
    Doubtful,

    /// <summary>It will never be accepted.</summary>
    Rejected,
}
