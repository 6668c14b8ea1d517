using System.Text.Json;
using Exporter.Records;

namespace Exporter.Export.Elasticsearch;

/// <summary>The template of daily indices: a mapping with the fields as they are defined, in which others are kept and not indexed, the alias and the lifecycle.</summary>
/// <param name="Name">Of the template, the alias and the lifecycle; indices have the day behind it.</param>
/// <param name="HasIds">Whether event.id is the _id of documents, and need not be indexed beside it.</param>
internal sealed record IndexTemplate(string Name, string Description, IReadOnlyList<SchemaField> Fields, bool HasIds)
{
    /// <summary>Greater whenever the sink needs a template that is not the one before.</summary>
    internal const int Version = 1;

    /// <summary>Above those that Elasticsearch brings, which are at most 100.</summary>
    private const int LeastPriority = 200;

    /// <summary>Names in Kubernetes have at most 253 characters.</summary>
    private const int MaxKeyword = 1024;

    /// <summary>The indices that it is for.</summary>
    internal string Pattern => $"{Name}-*";

    /// <summary>
    /// The greatest one of those that match an index is used. Of two patterns that overlap one begins as the other one does, and the longer one is meant; servers refuse
    /// patterns that overlap at the same priority.
    /// </summary>
    internal int Priority => LeastPriority + Name.Length;

    /// <summary>The template of records: flow, rest and interval.</summary>
    internal static IndexTemplate OfRecords(string index) => new(
        index,
        "Flow, rest and interval records of podnet-exporter",
        [.. RecordFields.All.Where(field => field.Datasets.Any(dataset => dataset != RecordDataset.Identity)).Select(SchemaField.Of)],
        HasIds: true);

    /// <summary>All templates: of records, and of the jobs' results.</summary>
    internal static IReadOnlyList<IndexTemplate> All(string index) =>
    [
        OfRecords(index),
        new("podnet-detection", "Detections that the jobs make of records of podnet-exporter", ResultFields.Detection, HasIds: false),
        new("podnet-matrix", "Matrix of workloads that the jobs make of records of podnet-exporter", ResultFields.Matrix, HasIds: false),
    ];

    /// <summary>Writes it as PUT _index_template/NAME takes it.</summary>
    /// <param name="hasLifecycle">Whether it names a policy of ILM, which only Elasticsearch knows.</param>
    internal byte[] Write(bool isOpenSearch, bool hasLifecycle = true)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, InstallStep.Pretty))
        {
            json.WriteStartObject();
            json.WriteStartArray("index_patterns");
            json.WriteStringValue(Pattern);
            json.WriteEndArray();
            json.WriteNumber("priority", Priority);
            json.WriteNumber("version", Version);
            if (!isOpenSearch)
            {
                json.WriteBoolean("allow_auto_create", true);
            }
            json.WriteStartObject("_meta");
            json.WriteString("description", Description);
            json.WriteEndObject();
            json.WriteStartObject("template");
            json.WriteStartObject("aliases");
            json.WriteStartObject(Name);
            json.WriteEndObject();
            json.WriteEndObject();
            WriteSettings(json, hasLifecycle && !isOpenSearch);
            json.WriteStartObject("mappings");
            json.WriteBoolean("dynamic", false);
            WriteProperties(json, FieldNode.Nest(Fields));
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    private void WriteSettings(Utf8JsonWriter json, bool hasPolicy)
    {
        json.WriteStartObject("settings");
        json.WriteStartObject("index");
        json.WriteString("codec", "best_compression");
        json.WriteNumber("number_of_shards", 1);
        json.WriteString("auto_expand_replicas", "0-1");
        json.WriteString("refresh_interval", "5s");
        if (hasPolicy)
        {
            json.WriteStartObject("lifecycle");
            json.WriteString("name", Name);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private void WriteProperties(Utf8JsonWriter json, IReadOnlyList<FieldNode> nodes)
    {
        json.WriteStartObject("properties");
        foreach (var node in nodes)
        {
            json.WriteStartObject(node.Name);
            if (node.Field is { } field)
            {
                WriteField(json, field);
            }
            else
            {
                WriteProperties(json, node.Members);
            }
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private void WriteField(Utf8JsonWriter json, SchemaField field)
    {
        json.WriteString("type", field.Type switch
        {
            FieldType.Integer => "long",
            FieldType.Number => "double",
            FieldType.Ip => "ip",
            FieldType.Date => "date",
            _ => "keyword",
        });
        if (HasIds && field.Path == "event.id")
        {
            json.WriteBoolean("index", false);
            json.WriteBoolean("doc_values", false);
        }
        else if (field.Type == FieldType.Keyword)
        {
            json.WriteNumber("ignore_above", MaxKeyword);
        }
    }
}
