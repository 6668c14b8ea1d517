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

    internal static string Write(IEnumerable<OptionDescription> options)
    {
        var text = new StringBuilder("""
                "options": {
                  "type": ["object", "null"],
                  "additionalProperties": false,
                  "properties": {

            """);
        foreach (var section in options.GroupBy(option => option.Key[..option.Key.IndexOf(':', StringComparison.Ordinal)]))
        {
            // A previous key has a schema that nothing fits: the validator's error has its values.
            var properties = section.Select(option => Property(option.Key, option.Schema))
                .Concat(section.Where(option => option.Previous is not null)
                    .Select(option => Property(option.Previous!, $$"""{"enum": ["this option is called {{option.Key}} now", null]}""")));
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
