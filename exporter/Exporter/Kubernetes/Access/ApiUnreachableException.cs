namespace Exporter.Kubernetes.Access;

/// <summary>A request did not reach the API server. The message names the part that failed, such as a proxy, a certificate or a plugin.</summary>
internal sealed class ApiUnreachableException(string message, Exception? cause = null) : Exception(message, cause);
