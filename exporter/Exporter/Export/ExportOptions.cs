using Exporter.Options;

namespace Exporter.Export;

/// <summary>The options of the export of records.</summary>
/// <param name="Sinks">Names, in the order in which they are given; empty: nothing is exported.</param>
/// <param name="MaxMemory">In bytes.</param>
internal sealed record ExportOptions(IReadOnlyList<string> Sinks, long MaxMemory, FileSinkOptions File, KafkaOptions Kafka, ElasticsearchOptions Elasticsearch)
{
    private const string SinksKey = "Export:Sinks";

    /// <summary>The names of all sinks.</summary>
    internal static readonly string[] Known = [FileSink.SinkName, StdoutSink.SinkName, KafkaOptions.SinkName, ElasticsearchOptions.SinkName];

    internal static ExportOptions Read(OptionReader reader)
    {
        var options = new ExportOptions(
            ReadSinks(reader),
            reader.Size("Export:MaxMemory", 32 << 20, 8 << 20, 4L << 30, "Most memory for records that not all sinks have acknowledged; beyond that the slowest sink loses its oldest, which is counted."),
            FileSinkOptions.Read(reader),
            KafkaOptions.Read(reader),
            ElasticsearchOptions.Read(reader));
        reader.Require(
            !options.Sinks.Contains(FileSink.SinkName) || options.File.Path.Length > 0, SinksKey, $"has {FileSink.SinkName}, and {FileSinkOptions.PathKey} is not set; set it to an absolute path");
        reader.Require(
            !options.Sinks.Contains(ElasticsearchOptions.SinkName) || options.Elasticsearch.Urls.Count > 0 || reader.IsRefused(ElasticsearchOptions.UrlsKey),
            SinksKey,
            $"has {ElasticsearchOptions.SinkName}, and {ElasticsearchOptions.UrlsKey} is not set; set it to the servers' addresses");
        return options;
    }

    /// <summary>Reads the names of the sinks alone.</summary>
    internal static IReadOnlyList<string> ReadSinks(OptionReader reader) =>
        reader.List(
            SinksKey,
            "",
            $"{string.Join(", ", Known)}, separated by commas",
            "Where records go: file appends to File:Path, stdout writes to standard output (logs go to standard error then), kafka produces them to Kafka:Topic, elasticsearch writes to Elasticsearch or OpenSearch; empty: nowhere.",
            OptionReader.TextOrArray(
                """{"type": "string", "pattern": "^ *((file|stdout|kafka|elasticsearch) *([,;] *(file|stdout|kafka|elasticsearch) *)*)?$"}""",
                """{"type": "array", "uniqueItems": true, "items": {"enum": ["file", "stdout", "kafka", "elasticsearch"]}}"""),
            ParseSinks);

    private static string[] ParseSinks(IReadOnlyList<string> parts)
    {
        string[] names = [.. OptionReader.AtCommas(parts).Select(name => name.ToLowerInvariant())];
        return names.FirstOrDefault(name => !Known.Contains(name)) is { } unknown
            ? throw new FormatException($"has '{unknown}', which is not a sink; the sinks are {string.Join(", ", Known)}")
            : names.GroupBy(name => name).FirstOrDefault(group => group.Count() > 1) is { } twice
                ? throw new FormatException($"has {twice.Key} twice; name each sink once")
                : names;
    }
}
