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
            var properties = section.Select(option => $"            \"{option.Key[(section.Key.Length + 1)..]}\": {option.Schema}");
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
    }
}
