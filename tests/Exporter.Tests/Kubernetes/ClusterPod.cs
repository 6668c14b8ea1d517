using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Exporter.Tests.Kubernetes;

internal sealed record PodOwner(string Kind, string Name, string ApiVersion = "apps/v1", string Uid = "6e916339-5d3c-4a80-a477-230683c3b3cd", bool Controller = true);

/// <summary>A pod; what is not said here its document has from a recorded one.</summary>
internal sealed record ClusterPod(string Namespace, string Name)
{
    // A running pod, of about 5 KB.
    private static readonly JsonElement Template =
        JsonDocument.Parse(Transcript.Read("03-watch-lifecycle/watch").Lines[9]).RootElement.GetProperty("object");

    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Chosen by the cluster where it is empty.</summary>
    internal string Uid { get; init; } = "";

    /// <summary>Set by the cluster.</summary>
    internal long ResourceVersion { get; init; }

    internal IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    internal IReadOnlyDictionary<string, string> Annotations { get; init; } = new Dictionary<string, string>();

    internal IReadOnlyList<PodOwner> Owners { get; init; } = [];

    /// <summary>Null before the pod is bound.</summary>
    internal string? NodeName { get; init; } = "worker-1";

    internal bool HostNetwork { get; init; }

    internal string Phase { get; init; } = "Pending";

    internal IReadOnlyList<string> PodIps { get; init; } = [];

    internal DateTimeOffset CreationTimestamp { get; init; } = DateTimeOffset.UtcNow;

    internal DateTimeOffset? DeletionTimestamp { get; init; }

    internal DateTimeOffset? StartTime { get; init; }

    /// <summary>Of its containers, while they run; null: those of the template, which are from long before.</summary>
    internal DateTimeOffset? StartedAt { get; init; }

    /// <summary>In the order in which the storage keeps them.</summary>
    internal string Key => $"{Namespace}/{Name}";

    /// <summary>The document as a list has it, without kind and apiVersion.</summary>
    internal byte[] ToJson()
    {
        using var stream = new MemoryStream(8192);
        using (var json = new Utf8JsonWriter(stream, Relaxed))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata");
            WriteMetadata(json);
            json.WriteEndObject();
            json.WriteStartObject("spec");
            CopyFrom(json, "spec", "nodeName", "hostNetwork");
            if (NodeName is not null)
            {
                json.WriteString("nodeName", NodeName);
            }
            if (HostNetwork)
            {
                json.WriteBoolean("hostNetwork", true);
            }
            json.WriteEndObject();
            json.WriteStartObject("status");
            WriteStatus(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static void CopyFrom(Utf8JsonWriter json, string part, params ReadOnlySpan<string> except)
    {
        foreach (var property in Template.GetProperty(part).EnumerateObject())
        {
            if (!except.Contains(property.Name))
            {
                property.WriteTo(json);
            }
        }
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, IReadOnlyDictionary<string, string> strings)
    {
        if (strings.Count > 0)
        {
            json.WriteStartObject(name);
            foreach (var (key, value) in strings.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                json.WriteString(key, value);
            }
            json.WriteEndObject();
        }
    }

    private void WriteMetadata(Utf8JsonWriter json)
    {
        json.WriteString("name", Name);
        json.WriteString("namespace", Namespace);
        json.WriteString("uid", Uid);
        json.WriteString("resourceVersion", ResourceVersion.ToString(CultureInfo.InvariantCulture));
        json.WriteNumber("generation", 1);
        json.WriteString("creationTimestamp", Text(CreationTimestamp));
        if (DeletionTimestamp is { } deletion)
        {
            json.WriteString("deletionTimestamp", Text(deletion));
            json.WriteNumber("deletionGracePeriodSeconds", 30);
        }
        WriteStrings(json, "labels", Labels);
        WriteStrings(json, "annotations", Annotations);
        if (Owners.Count > 0)
        {
            json.WriteStartArray("ownerReferences");
            foreach (var owner in Owners)
            {
                json.WriteStartObject();
                json.WriteString("apiVersion", owner.ApiVersion);
                json.WriteString("kind", owner.Kind);
                json.WriteString("name", owner.Name);
                json.WriteString("uid", owner.Uid);
                if (owner.Controller)
                {
                    json.WriteBoolean("controller", true);
                }
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WritePropertyName("managedFields");
        Template.GetProperty("metadata").GetProperty("managedFields").WriteTo(json);
    }

    private void WriteStatus(Utf8JsonWriter json)
    {
        json.WriteString("phase", Phase);
        if (PodIps.Count > 0)
        {
            json.WriteString("podIP", PodIps[0]);
            json.WriteStartArray("podIPs");
            foreach (var address in PodIps)
            {
                json.WriteStartObject();
                json.WriteString("ip", address);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        if (StartTime is { } start)
        {
            json.WriteString("startTime", Text(start));
        }
        if (StartedAt is { } started && Phase == "Running")
        {
            json.WriteStartArray("containerStatuses");
            json.WriteStartObject();
            json.WriteString("name", "app");
            json.WriteStartObject("state");
            json.WriteStartObject("running");
            json.WriteString("startedAt", Text(started));
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndArray();
            CopyFrom(json, "status", "phase", "podIP", "podIPs", "startTime", "containerStatuses");
            return;
        }
        CopyFrom(json, "status", "phase", "podIP", "podIPs", "startTime");
    }
}
