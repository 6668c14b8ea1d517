using System.Globalization;
using System.Text;
using Exporter.Options;

namespace Exporter.Commands;

/// <summary>podnet-exporter options --schema: the schema of the chart's value options, as chart/values.schema.json has it.</summary>
internal static class OptionsSchema
{
    /// <summary>The framework's own section.</summary>
    private const string Logging = """
                "Logging": {
                  "type": ["object", "null"],
                  "additionalProperties": false,
                  "properties": {
                    "LogLevel": {
                      "type": ["object", "null"],
                      "additionalProperties": {"enum": ["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None", null]}
                    }
                  }
                }
              }
            },
        """;

    /// <param name="reader">It has read all options.</param>
    internal static string Write(OptionReader reader)
    {
        var text = new StringBuilder("""
                "options": {
                  "type": ["object", "null"],
                  "additionalProperties": false,
                  "properties": {

            """);
        foreach (var section in reader.Options.GroupBy(option => option.Key[..option.Key.IndexOf(':', StringComparison.Ordinal)]))
        {
            // A schema that nothing fits: the validator's error has its values.
            var properties = section.Select(option => Property(option.Key, option.Schema))
                .Concat(reader.Renamed.Where(renamed => renamed.Key.StartsWith(section.Key + ':', StringComparison.Ordinal))
                    .Select(renamed => Property(renamed.Key, $$"""{"enum": ["this option is called {{renamed.Value}} now", null]}""")));
            text.Append(CultureInfo.InvariantCulture, $$"""
                        "{{section.Key}}": {
                          "type": ["object", "null"],
                          "additionalProperties": false,
                          "properties": {
                {{string.Join(",\n", properties)}}
                          }
                        },

                """);
        }
        return text.Append(Logging).ToString();

        static string Property(string key, string schema) => $"            \"{key[(key.IndexOf(':', StringComparison.Ordinal) + 1)..]}\": {schema}";
    }
}
