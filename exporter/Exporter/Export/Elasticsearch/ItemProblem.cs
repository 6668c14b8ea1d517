namespace Exporter.Export.Elasticsearch;

/// <summary>What becomes of a record that a bulk's answer has an error for.</summary>
internal enum ItemProblem
{
    /// <summary>It is not one: the record is in its index.</summary>
    None,

    /// <summary>The server is busy or a shard is away: the record is sent again.</summary>
    Busy,

    /// <summary>The index or its rights are in the way: nothing is sent until that is over.</summary>
    Blocked,

    /// <summary>It may be either; what becomes of other records shows which.</summary>
    Doubtful,

    /// <summary>The record itself is refused, and always will be.</summary>
    Refused,
}
