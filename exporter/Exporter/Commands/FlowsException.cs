namespace Exporter.Commands;

/// <summary>Asking an exporter failed; the message says why and what to do.</summary>
internal sealed class FlowsException(string message, Exception? reason = null) : Exception(message, reason);
