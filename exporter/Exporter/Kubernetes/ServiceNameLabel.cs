using System.Text.Json;
using System.Text.Json.Serialization;

namespace Exporter.Kubernetes;

/// <summary>
/// Reads labels and annotations, and keeps only the name of an EndpointSlice's Service. The rest may have kilobytes for each object, as the copy that
/// kubectl apply keeps, and a list has thousands of objects.
/// </summary>
internal sealed class ServiceNameLabel : JsonConverter<IReadOnlyDictionary<string, string>>
{
    /// <summary>The label of an EndpointSlice that names its Service (https://kubernetes.io/docs/reference/labels-annotations-taints/).</summary>
    internal const string Name = "kubernetes.io/service-name";

    public override IReadOnlyDictionary<string, string>? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException();
        }
        Dictionary<string, string>? kept = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isWanted = reader.ValueTextEquals(Name);
            reader.Read();
            if (isWanted && reader.TokenType == JsonTokenType.String)
            {
                kept = new() { [Name] = reader.GetString()! };
            }
            // Skip() refuses wherever the document is longer than the buffer; the serializer has all of this object in it.
            if (!reader.TrySkip())
            {
                throw new JsonException();
            }
        }
        return kept;
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyDictionary<string, string> value, JsonSerializerOptions options) => throw new NotSupportedException();
}
