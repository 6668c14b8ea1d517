namespace Exporter.Kubernetes.Access;

/// <summary>The address, trust and credentials for the API server, from a kubeconfig or a pod's ServiceAccount. The files have been read already.</summary>
internal sealed record ApiAccess
{
    /// <summary>The kubeconfig file or the directory of the ServiceAccount, for messages.</summary>
    internal required string Origin { get; init; }

    /// <summary>The API server; it may be below a path.</summary>
    internal required Uri Server { get; init; }

    /// <summary>The server's host and port as they were written: the Host header of requests.</summary>
    internal required string Host { get; init; }

    /// <summary>Trusted certificates in PEM; null: the machine's.</summary>
    internal byte[]? Authorities { get; init; }

    /// <summary>The origin of <see cref="Authorities"/>, for messages, or the reason for their absence.</summary>
    internal string AuthoritiesOrigin { get; init; } = "";

    /// <summary>The name that the server's certificate has to be for; empty: the host.</summary>
    internal string TlsServerName { get; init; } = "";

    internal bool SkipsVerification { get; init; }

    /// <summary>The proxy for all requests, whatever NO_PROXY says; null: the environment decides.</summary>
    internal Uri? Proxy { get; init; }

    internal bool DisablesCompression { get; init; }

    /// <summary>Null: none.</summary>
    internal ClientCertificate? Certificate { get; init; }

    /// <summary>The value of the Authorization header; empty: none.</summary>
    internal string Authorization { get; init; } = "";

    /// <summary>Null: none.</summary>
    internal ExecCommand? Exec { get; init; }

    /// <summary>Headers that name the user, groups and so on to act as.</summary>
    internal IReadOnlyList<(string Name, string Value)> Impersonation { get; init; } = [];
}
