using System.Globalization;
using System.Text.Json;

namespace Exporter.Export.Elasticsearch;

/// <summary>The policy that deletes daily indices: of ILM in Elasticsearch, of ISM in OpenSearch.</summary>
internal static class IndexLifecycle
{
    internal static string PathOf(string name, bool isOpenSearch) => isOpenSearch ? $"_plugins/_ism/policies/{name}" : $"_ilm/policy/{name}";

    /// <param name="template">The template whose indices it is for.</param>
    /// <param name="days">The age at which an index is deleted.</param>
    internal static byte[] Write(IndexTemplate template, bool isOpenSearch, int days)
    {
        var age = string.Create(CultureInfo.InvariantCulture, $"{days}d");
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, InstallStep.Pretty))
        {
            json.WriteStartObject();
            json.WriteStartObject("policy");
            if (isOpenSearch)
            {
                WriteStates(json, template, age);
            }
            else
            {
                WritePhases(json, age);
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static void WritePhases(Utf8JsonWriter json, string age)
    {
        json.WriteStartObject("phases");
        json.WriteStartObject("hot");
        json.WriteStartObject("actions");
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteStartObject("delete");
        json.WriteString("min_age", age);
        json.WriteStartObject("actions");
        json.WriteStartObject("delete");
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteStates(Utf8JsonWriter json, IndexTemplate template, string age)
    {
        json.WriteString("description", $"Deletes daily indices of podnet-exporter after {age}");
        json.WriteString("default_state", "hot");
        json.WriteStartArray("states");
        json.WriteStartObject();
        json.WriteString("name", "hot");
        json.WriteStartArray("actions");
        json.WriteEndArray();
        json.WriteStartArray("transitions");
        json.WriteStartObject();
        json.WriteString("state_name", "delete");
        json.WriteStartObject("conditions");
        json.WriteString("min_index_age", age);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartObject();
        json.WriteString("name", "delete");
        json.WriteStartArray("actions");
        json.WriteStartObject();
        json.WriteStartObject("delete");
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteStartArray("transitions");
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteStartArray("ism_template");
        json.WriteStartObject();
        json.WriteStartArray("index_patterns");
        json.WriteStringValue(template.Pattern);
        json.WriteEndArray();
        // ISM refuses a policy whose pattern overlaps another one of the same priority.
        json.WriteNumber("priority", template.Priority);
        json.WriteEndObject();
        json.WriteEndArray();
    }
}
