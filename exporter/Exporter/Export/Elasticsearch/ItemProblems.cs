namespace Exporter.Export.Elasticsearch;

/// <summary>Sorts the errors of a bulk's items, and says what to do about those that block an index. The types are of Elasticsearch and OpenSearch.</summary>
internal static class ItemProblems
{
    private const string Argument = "illegal_argument_exception";
    private const string Mapping = "mapper_parsing_exception";
    private const string Blocked = "cluster_block_exception";
    private const string BadTemplate = "cannot be made ({1}); correct the index template that matches it";
    private const string NoRoom = "cannot be made ({1}); delete old indices, or raise cluster.max_shards_per_node";

    /// <summary>
    /// Errors of status 400 that are the index's: the type, a part of the reason, and what follows 'the index NAME ' with the error as {1}. The first that matches counts.
    /// </summary>
    private static readonly (string Type, string Part, string Remedy)[] OfIndex =
    [
        ("index_closed_exception", "", "is closed; open it (POST {0}/_open), or delete it"),
        ("validation_exception", "shards", NoRoom),
        ("validation_exception", "", BadTemplate),
        ("invalid_alias_name_exception", "", "cannot be made ({1}); an index has the name of its alias: reindex that one under another name and delete it, or set Elasticsearch:Index to another name and run 'podnet-exporter flows install' with it"),
        ("invalid_index_name_exception", "", "cannot be made ({1}); remove the alias or data stream that has its name, or set Elasticsearch:Index to another name and run 'podnet-exporter flows install' with it"),
        (Argument, "this action would add", NoRoom),
        (Argument, "pipeline", "names a pipeline that cannot be used ({1}); make the pipeline, or remove it (PUT {0}/_settings with index.default_pipeline and index.final_pipeline null) and from the index template"),
        (Argument, "number of documents in", "is full ({1}); reindex it into one with more shards, and give the index template more shards"),
        (Argument, "no write index", "is an alias without an index to write to ({1}); remove the alias"),
        (Argument, "unknown setting", BadTemplate),
        (Argument, "composable template", BadTemplate),
        (Argument, "index template", BadTemplate),
    ];

    /// <summary>Errors that are the record's.</summary>
    private static readonly (string Type, string Part)[] OfRecord =
    [
        (Mapping, ""),
        ("document_parsing_exception", ""),
        ("strict_dynamic_mapping_exception", ""),
        (Argument, "limit of "),
        (Argument, "immense term"),
    ];

    /// <summary>An item without a status is one that the answer does not explain. A closed index and a cluster that is full are answered as 400, and are not the record's fault.</summary>
    internal static ItemProblem Of(int status, string type, string reason) => status switch
    {
        200 or 201 or 409 => ItemProblem.None,
        429 or >= 500 or 0 => ItemProblem.Busy,
        401 or 403 or 404 or 406 => ItemProblem.Blocked,
        400 when RemedyOf(type, reason) is not null => ItemProblem.Blocked,
        // Another writer made the index at the same moment.
        400 when Is(type, "resource_already_exists_exception") => ItemProblem.Busy,
        // The mapping of an index that is made.
        400 when Is(type, Mapping) && reason.StartsWith("Failed to parse mapping", StringComparison.Ordinal) => ItemProblem.Doubtful,
        400 when OfRecord.Any(known => Matches(known.Type, known.Part, type, reason)) => ItemProblem.Refused,
        _ => ItemProblem.Doubtful,
    };

    /// <summary>The reason and the remedy of an index that is blocked.</summary>
    internal static string Explain(string index, int status, string type, string reason)
    {
        var what = FormattableString.Invariant($"{status} {type}: {ServerAnswer.Shorten(reason)}");
        return status switch
        {
            400 when RemedyOf(type, reason) is { } remedy => $"the index {index} {remedy.Replace("{0}", index, StringComparison.Ordinal).Replace("{1}", what, StringComparison.Ordinal)}",
            403 or 429 when Is(type, Blocked) => $"the index {index} is blocked ({what}); make room on the servers' disks where these are full, and remove the block (PUT {index}/_settings with index.blocks.write, read_only and read_only_allow_delete null)",
            404 => $"the index {index} is not there and is not made ({what}); allow {index} in action.auto_create_index",
            401 or 403 => $"records may not be written to {index} ({what}); grant the sink's user the rights to write to it and to create it",
            429 or >= 500 or 0 => $"the index {index} takes no records ({what})",
            _ => $"the index {index} takes no records ({what}); correct its settings, its mapping or its pipeline, or the index template",
        };
    }

    private static string? RemedyOf(string type, string reason) =>
        OfIndex.FirstOrDefault(known => Matches(known.Type, known.Part, type, reason)).Remedy;

    private static bool Matches(string knownType, string part, string type, string reason) =>
        Is(type, knownType) && reason.Contains(part, StringComparison.OrdinalIgnoreCase);

    /// <summary>Elasticsearch 7 has es_ before some names.</summary>
    private static bool Is(string type, string name) => type == name || type == $"es_{name}";
}
