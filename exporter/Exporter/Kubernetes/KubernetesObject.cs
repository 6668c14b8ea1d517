namespace Exporter.Kubernetes;

/// <summary>The part that objects of all resources have. Fields that are missing or null are empty.</summary>
internal abstract record KubernetesObject
{
    public ObjectMetadata Metadata { get => field; init => field = value ?? new(); } = new();
}

internal sealed record ObjectMetadata
{
    public string Uid { get => field; init => field = value ?? ""; } = "";

    public string Namespace { get => field; init => field = value ?? ""; } = "";

    public string Name { get => field; init => field = value ?? ""; } = "";

    public string ResourceVersion { get => field; init => field = value ?? ""; } = "";

    public DateTimeOffset? DeletionTimestamp { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    public IReadOnlyList<OwnerReference?>? OwnerReferences { get; init; }
}

internal sealed record OwnerReference
{
    public string ApiVersion { get => field; init => field = value ?? ""; } = "";

    public string Uid { get => field; init => field = value ?? ""; } = "";

    public string Kind { get => field; init => field = value ?? ""; } = "";

    public string Name { get => field; init => field = value ?? ""; } = "";

    public bool Controller { get; init; }
}
