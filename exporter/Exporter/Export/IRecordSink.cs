namespace Exporter.Export;

/// <summary>Where records go: a file, a broker, a search engine. It is used by one cursor, for one batch at a time.</summary>
internal interface IRecordSink
{
    /// <summary>The name in options, labels and closing records.</summary>
    string Name { get; }

    /// <summary>
    /// Writes all records of a batch. When it returns, they are acknowledged, but for those that it has rejected
    /// (<see cref="RecordBatch.Reject"/>). After an exception it is called with the same batch again; it can continue where it was by
    /// <see cref="RecordBatch.Number"/>.
    /// </summary>
    /// <param name="cancellationToken">The time to end is over.</param>
    /// <exception cref="SinkException">The records were not taken now; a later attempt may succeed.</exception>
    ValueTask WriteAsync(RecordBatch batch, CancellationToken cancellationToken);
}
