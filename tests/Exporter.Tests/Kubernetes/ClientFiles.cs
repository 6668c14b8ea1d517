using System.Text;

namespace Exporter.Tests.Kubernetes;

/// <summary>What a client of the API server is configured with: a ServiceAccount's files as in a pod, and kubeconfigs.</summary>
internal sealed class ClientFiles : IDisposable
{
    private readonly string _authority;
    private Uri? _address;
    private string _token = "";

    internal ClientFiles(string authority)
    {
        _authority = authority;
        Directory.CreateDirectory(ServiceAccount);
        Write(Authority, authority + "\n");
        Write(Path.Combine(ServiceAccount, "namespace"), "podnet-system");
    }

    internal string Root { get; } = Directory.CreateTempSubdirectory("api-server-").FullName;

    /// <summary>As /var/run/secrets/kubernetes.io/serviceaccount: token, ca.crt, namespace.</summary>
    internal string ServiceAccount => Path.Combine(Root, "serviceaccount");

    internal string Token => Path.Combine(ServiceAccount, "token");

    internal string Authority => Path.Combine(ServiceAccount, "ca.crt");

    /// <summary>With the authority and the token in it.</summary>
    internal string Kubeconfig => Path.Combine(Root, "kubeconfig");

    /// <summary>With the paths of the authority and of the token, relative to itself.</summary>
    internal string KubeconfigOfFiles => Path.Combine(Root, "kubeconfig-of-files");

    public void Dispose()
    {
        if (Directory.Exists(Root))
        {
            Directory.Delete(Root, recursive: true);
        }
    }

    internal void WriteToken(string token)
    {
        _token = token;
        Write(Token, token);
        if (_address is not null)
        {
            WriteKubeconfigs(_address);
        }
    }

    internal void WriteKubeconfigs(Uri address)
    {
        _address = address;
        Write(Kubeconfig, Text($"certificate-authority-data: {Convert.ToBase64String(Encoding.UTF8.GetBytes(_authority))}", $"token: {_token}"));
        Write(KubeconfigOfFiles, Text("certificate-authority: serviceaccount/ca.crt", "tokenFile: serviceaccount/token"));
    }

    /// <summary>At once: a reader sees the old file or the new one.</summary>
    private static void Write(string path, string text)
    {
        File.WriteAllText(path + ".new", text);
        File.Move(path + ".new", path, overwrite: true);
    }

    private string Text(string authority, string token) =>
        $"""
        apiVersion: v1
        kind: Config
        clusters:
        - cluster:
            {authority}
            server: {_address!.GetLeftPart(UriPartial.Authority)}
          name: test
        contexts:
        - context:
            cluster: test
            namespace: podnet-system
            user: exporter
          name: exporter@test
        current-context: exporter@test
        preferences: {"{}"}
        users:
        - name: exporter
          user:
            {token}

        """;
}
