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
        // A previous key has a schema that nothing fits: the validator's error has its values.
        var known = options.Select(option => (option.Key, option.Schema))
            .Concat(options.Where(option => option.Previous is not null).Select(option => (Key: option.Previous!, Schema: $$"""{"enum": ["this option is called {{option.Key}} now", null]}""")));
        foreach (var section in Sections(known))
        {
            text.Append(CultureInfo.InvariantCulture, $"{Section(section.Key, section, "        ")},\n");
        }
        return text.Append(Logging).ToString();
    }

    /// <summary>Options by the first part of their keys, which have the rest of it then.</summary>
    private static IEnumerable<IGrouping<string, (string Key, string Schema)>> Sections(IEnumerable<(string Key, string Schema)> options) =>
        options.GroupBy(option => option.Key.Split(':')[0], option => (option.Key.Contains(':', StringComparison.Ordinal) ? option.Key[(option.Key.IndexOf(':', StringComparison.Ordinal) + 1)..] : "", option.Schema));

    /// <summary>An option, or an object of options.</summary>
    private static string Section(string name, IEnumerable<(string Key, string Schema)> options, string indent)
    {
        if (options.First() is ("", var schema))
        {
            return $"{indent}\"{name}\": {schema}";
        }
        var properties = string.Join(",\n", Sections(options).Select(section => Section(section.Key, section, $"{indent}    ")));
        return $$"""
            {{indent}}"{{name}}": {
            {{indent}}  "type": ["object", "null"],
            {{indent}}  "additionalProperties": false,
            {{indent}}  "properties": {
            {{properties}}
            {{indent}}  }
            {{indent}}}
            """;
    }
}
