using System.Text;
using Exporter.Export;
using Exporter.Export.Elasticsearch;
using Exporter.Records;

namespace Exporter.Commands;

/// <summary>The schemas of records for engines that store or read them, made of the definitions of fields.</summary>
internal static class FlowsEngineSchemas
{
    /// <summary>By the engines' names.</summary>
    internal static readonly IReadOnlyList<(string Name, Func<string> Write)> All =
    [
        ("elasticsearch", static () => Encoding.UTF8.GetString(IndexTemplate.OfRecords(ElasticsearchOptions.DefaultIndex).Write(isOpenSearch: false))),
        ("opensearch", static () => Encoding.UTF8.GetString(IndexTemplate.OfRecords(ElasticsearchOptions.DefaultIndex).Write(isOpenSearch: true))),
        ("clickhouse", ClickHouseSchema.Write),
        ("flink", FlinkSchema.Write),
        ("spark", SparkSchema.Write),
    ];
}
