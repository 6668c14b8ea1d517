using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Exporter.Kubernetes;

/// <summary>Reads the API server's answers. If something else has answered, such as a proxy, the error says so in plain words.</summary>
internal static class ApiJson
{
    /// <param name="wanted">The expected document in words, for the error.</param>
    /// <exception cref="JsonException">The body is not that document, such as a proxy's HTML page.</exception>
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
