using Exporter.Records;

namespace Exporter.Commands;

/// <summary>podnet-exporter flows schema: the fields of records, for programs, for people, and as engines declare them.</summary>
internal static class FlowsSchemaCommand
{
    /// <summary>The forms by their names.</summary>
    private static readonly (string Name, Func<string> Write)[] Forms =
    [
        ("json-schema", RecordSchema.Write),
        ("fields", RecordFieldsText.Write),
        .. FlowsEngineSchemas.All,
    ];

    private static readonly FlowsArgument For = new(
        "--for",
        string.Join('|', Forms.Select(form => form.Name)),
        "json-schema: a JSON Schema (draft 2020-12) of a record of any kind, the default; fields: the table of docs/flows.md; the others: as that engine declares them.");

    internal static IReadOnlyList<FlowsArgument> Arguments { get; } = [For];

    /// <param name="output">The schema.</param>
    /// <param name="errors">The arguments that are wrong.</param>
    internal static int Run(ReadOnlySpan<string> typed, TextWriter output, TextWriter errors)
    {
        var arguments = new FlowsArguments("flows schema", Arguments, typed);
        var write = arguments.Read(For, Forms[0].Write, Parse);
        if (arguments.PrintErrors(errors))
        {
            return ExitCode.BadOptions;
        }
        output.WriteLine(write());
        return ExitCode.Success;
    }

    private static Func<string> Parse(string text) =>
        Forms.FirstOrDefault(form => form.Name == text).Write ?? throw new FormatException($"is not a form of the schema; the forms are {string.Join(", ", Forms.Select(form => form.Name))}");
}
