namespace Exporter.Export.Elasticsearch;

/// <summary>Sorts the errors of a bulk's items, and says what to do about those that block an index. The types are of Elasticsearch and OpenSearch.</summary>
internal static class ItemProblems
{
    private const string IndexClosed = "index_closed_exception";
    private const string NoRoom = "validation_exception";
    private const string Blocked = "cluster_block_exception";

    /// <summary>An item without a status is one that the answer does not explain. A closed index and a cluster that is full are answered as 400, and are not the record's fault.</summary>
    internal static ItemProblem Of(int status, string type) => status switch
    {
        200 or 201 or 409 => ItemProblem.None,
        429 or >= 500 or 0 => ItemProblem.Busy,
        401 or 403 or 404 or 406 => ItemProblem.Blocked,
        400 when Is(type, IndexClosed) || Is(type, NoRoom) => ItemProblem.Blocked,
        _ => ItemProblem.Refused,
    };

    /// <summary>The reason and the remedy of an index that is blocked.</summary>
    internal static string Explain(string index, int status, string type, string reason)
    {
        var what = FormattableString.Invariant($"{status} {type}: {ServerAnswer.Shorten(reason)}");
        return status switch
        {
            400 when Is(type, IndexClosed) => $"the index {index} is closed; open it (POST {index}/_open), or delete it",
            400 => $"the index {index} cannot be made ({what}); delete old indices, or raise cluster.max_shards_per_node",
            403 or 429 when Is(type, Blocked) => $"the index {index} is blocked ({what}); make room on the servers' disks where these are full, and remove the block (PUT {index}/_settings with index.blocks.write, read_only and read_only_allow_delete null)",
            404 => $"the index {index} is not there and is not made ({what}); allow {index} in action.auto_create_index",
            401 or 403 => $"records may not be written to {index} ({what}); grant the sink's user the rights to write to it and to create it",
            _ => $"the index {index} takes no records ({what})",
        };
    }

    /// <summary>Elasticsearch 7 has es_ before some names.</summary>
    private static bool Is(string type, string name) => type == name || type == $"es_{name}";
}
