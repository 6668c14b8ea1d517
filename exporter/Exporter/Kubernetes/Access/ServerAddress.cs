namespace Exporter.Kubernetes.Access;

/// <summary>Reads the address of an API server as kubectl does: an address without a scheme is used without TLS.</summary>
internal static class ServerAddress
{
    /// <exception cref="FormatException">The text is not such an address. The message continues a sentence that begins with the name of the field.</exception>
    internal static (Uri Server, string Host) Parse(string text)
    {
        var address = text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}";
        if (!Uri.TryCreate(address, UriKind.Absolute, out var server) || server.Host.Length == 0)
        {
            throw new FormatException($"is '{text}', which is not an address; write one like https://10.0.0.1:6443");
        }
        if (server.Scheme is not ("https" or "http"))
        {
            throw new FormatException($"is '{text}', but an API server is reached by https or http");
        }
        var host = address[(address.IndexOf("://", StringComparison.Ordinal) + 3)..].Split('/', '?', '#')[0];
        return (server, host[(host.LastIndexOf('@') + 1)..]);
    }
}
