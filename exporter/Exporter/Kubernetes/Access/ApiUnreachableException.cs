namespace Exporter.Kubernetes.Access;

/// <summary>The API server could not be asked: the message names what failed on the way, such as a proxy, a certificate or a plugin.</summary>
internal sealed class ApiUnreachableException(string message, Exception? cause = null) : Exception(message, cause);
