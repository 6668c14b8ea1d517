namespace Exporter.Export;

/// <summary>A sink did not take a batch, and may take it later.</summary>
/// <param name="message">Why, and what to do; for the log, without a full stop.</param>
internal sealed class SinkException(string message, Exception? innerException = null) : Exception(message, innerException);
