using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Exporter.Kubernetes;

/// <summary>Reads answers of the API server. An error says in plain words that something else has answered, or what.</summary>
internal static class ApiJson
{
    /// <param name="wanted">What it should be, for the error.</param>
    /// <exception cref="JsonException">It is something else, as of a proxy with a page for people.</exception>
    internal static async Task<T?> ReadAsync<T>(Stream body, JsonTypeInfo<T> type, string wanted, CancellationToken cancellationToken)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync(body, type, cancellationToken);
        }
        catch (JsonException e)
        {
            throw Fail(e, wanted);
        }
    }

    /// <inheritdoc cref="ReadAsync"/>
    internal static T? Read<T>(ReadOnlySpan<byte> text, JsonTypeInfo<T> type, string wanted)
    {
        try
        {
            return JsonSerializer.Deserialize(text, type);
        }
        catch (JsonException e)
        {
            throw Fail(e, wanted);
        }
    }

    private static JsonException Fail(JsonException failure, string wanted) => new($"its answer is not {wanted} in JSON ({PlainWords.Place(failure)})");
}
