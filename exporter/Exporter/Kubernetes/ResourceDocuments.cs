using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Exporter.Kubernetes;

/// <summary>One page of a list.</summary>
internal sealed record ResourcePage<T>
    where T : KubernetesObject
{
    /// <summary>The kind of the list. An answer of another kind, as from a proxy, must not pass for an empty list.</summary>
    public string? Kind { get; init; }

    public ListMetadata Metadata { get => field; init => field = value ?? new(); } = new();

    public IReadOnlyList<T?>? Items { get; init; }
}

internal sealed record ListMetadata
{
    public string ResourceVersion { get => field; init => field = value ?? ""; } = "";

    /// <summary>The token for the next page; empty on the last page.</summary>
    public string? Continue { get; init; }
}

/// <summary>An error of the API server, as the body of an answer or as the object of an ERROR event.</summary>
internal sealed record StatusDocument
{
    public int Code { get; init; }

    public string Message { get => field; init => field = value ?? ""; } = "";
}

/// <summary>An event of a watch with its object, as JSON. Of a BOOKMARK's object only the version is set.</summary>
internal sealed record ObjectEvent<T>
    where T : KubernetesObject
{
    public T? Object { get; init; }
}

/// <summary>One event of a watch.</summary>
/// <param name="Type">ADDED, MODIFIED, DELETED or BOOKMARK.</param>
internal readonly record struct ResourceEvent<T>(string Type, T Object)
    where T : KubernetesObject
{
    private const string Wanted = "an event of a watch";

    /// <exception cref="JsonException">The line is not an event.</exception>
    /// <exception cref="ApiException">The event is an ERROR.</exception>
    internal static ResourceEvent<T> Parse(ReadOnlySpan<byte> line, JsonTypeInfo<ObjectEvent<T>> format)
    {
        // The objects of events are of different kinds, so the type is read first.
        var type = ApiJson.Read(line, ResourceDocumentContext.Default.EventHead, Wanted)?.Type;
        if (string.IsNullOrEmpty(type))
        {
            throw new JsonException("an event of its watch has no type");
        }
        if (type == "ERROR")
        {
            var error = ApiJson.Read(line, ResourceDocumentContext.Default.ErrorEvent, Wanted)!.Object ?? new();
            throw new ApiException(error.Code, error.Message);
        }
        return new(type, ApiJson.Read(line, format, Wanted)!.Object ?? throw new JsonException("an event of its watch has no object"));
    }
}

internal sealed record EventHead
{
    public string? Type { get; init; }
}

internal sealed record ErrorEvent
{
    public StatusDocument? Object { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(StatusDocument))]
[JsonSerializable(typeof(EventHead))]
[JsonSerializable(typeof(ErrorEvent))]
internal sealed partial class ResourceDocumentContext : JsonSerializerContext;
