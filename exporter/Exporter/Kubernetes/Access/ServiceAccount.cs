using System.Net;
using System.Text;
using Exporter.Health;

namespace Exporter.Kubernetes.Access;

/// <summary>The access that every pod has: an address in the environment, and a token and authorities in files that the kubelet mounts.</summary>
internal static class ServiceAccount
{
    private const string HostVariable = "KUBERNETES_SERVICE_HOST";
    private const string PortVariable = "KUBERNETES_SERVICE_PORT";

    internal static bool IsPresent(AccessEnvironment environment) =>
        environment[HostVariable].Length > 0 && environment[PortVariable].Length > 0 && File.Exists(TokenFile(environment));

    /// <exception cref="AccessException">The environment or the files cannot be used.</exception>
    internal static ApiAccess Read(AccessEnvironment environment, FileWatch files)
    {
        var (host, port) = (environment[HostVariable], environment[PortVariable]);
        if (host.Length == 0 || port.Length == 0)
        {
            throw new AccessException($"this is not a pod of a cluster: {(host.Length == 0 ? HostVariable : PortVariable)} is not set");
        }
        var authority = IPAddress.TryParse(host, out var address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{host}]:{port}" : $"{host}:{port}";
        if (!Uri.TryCreate($"https://{authority}", UriKind.Absolute, out var server))
        {
            throw new AccessException($"{HostVariable} and {PortVariable} are '{host}' and '{port}', which is not an address");
        }
        var tokenFile = files.TryRead(TokenFile(environment), out var unreadable) ?? throw new AccessException(unreadable);
        var token = Encoding.UTF8.GetString(tokenFile).Trim();
        if (token.Length == 0)
        {
            throw new AccessException($"'{TokenFile(environment)}' is empty");
        }
        var authoritiesFile = Path.Combine(environment.ServiceAccountDirectory, "ca.crt");
        var authorities = files.TryRead(authoritiesFile, out var problem);
        var isUsable = authorities is not null && ServerTrust.Parse(authorities).Count > 0;
        return new()
        {
            Origin = $"'{environment.ServiceAccountDirectory}'",
            Server = server,
            Host = authority,
            // Without usable authorities the machine's are trusted, as by kubectl.
            Authorities = isUsable ? authorities : null,
            AuthoritiesOrigin = isUsable ? $"'{authoritiesFile}'" : problem.Length > 0 ? problem : $"'{authoritiesFile}' has no certificate in it",
            Authorization = $"Bearer {token}",
        };
    }

    private static string TokenFile(AccessEnvironment environment) => Path.Combine(environment.ServiceAccountDirectory, "token");
}
