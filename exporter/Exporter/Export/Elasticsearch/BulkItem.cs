namespace Exporter.Export.Elasticsearch;

/// <summary>A record of a batch on its way.</summary>
/// <param name="Line">Where its line begins among the lines of the batch.</param>
/// <param name="Length">Of the line, with '\n'.</param>
internal record struct BulkItem(int Line, int Length, RecordHead Head, BulkItemState State);
