namespace Exporter.Kubernetes.Access;

/// <summary>The configured access to the API server is wrong: the message names the file and the field, and says what to do.</summary>
internal sealed class AccessException(string message, Exception? cause = null) : Exception(message, cause);
