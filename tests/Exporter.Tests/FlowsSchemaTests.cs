using System.Text.Json;
using Exporter.Commands;
using Exporter.Records;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>podnet-exporter flows schema, and the table in docs/flows.md that it prints.</summary>
public sealed class FlowsSchemaTests : IDisposable
{
    private readonly StringWriter _output = new();
    private readonly StringWriter _errors = new();

    public void Dispose()
    {
        _output.Dispose();
        _errors.Dispose();
    }

    [Theory]
    [InlineData]
    [InlineData("--for=json-schema")]
    [InlineData("--for", "json-schema")]
    public async Task The_schema_is_JSON_Schema_unless_another_form_is_asked_for(params string[] arguments)
    {
        Assert.Equal(ExitCode.Success, await RunAsync(arguments));

        Assert.Equal("https://json-schema.org/draft/2020-12/schema", JsonElement.Parse(_output.ToString()).GetProperty("$schema").GetString());
        Assert.Empty(_errors.ToString());
    }

    [Fact]
    public async Task The_fields_are_a_table_with_a_row_for_each()
    {
        Assert.Equal(ExitCode.Success, await RunAsync("--for=fields"));

        const int Heading = 2;
        Assert.Equal(RecordFields.All.Count + Heading, _output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Theory]
    [InlineData("--for: 'avro' is not a form of the schema; the forms are json-schema, fields, elasticsearch, opensearch, clickhouse, flink, spark.", "--for=avro")]
    [InlineData("--for: has no value. Write --for=json-schema|fields|elasticsearch|opensearch|clickhouse|flink|spark.", "--for")]
    [InlineData("--four: 'flows schema' has no such argument. It has --for.", "--four=fields")]
    public async Task A_wrong_argument_is_named_with_what_to_write(string error, params string[] arguments)
    {
        Assert.Equal(ExitCode.BadOptions, await RunAsync(arguments));

        Assert.Equal(error, _errors.ToString().TrimEnd());
        Assert.Empty(_output.ToString());
    }

    [Fact]
    public async Task The_help_of_flows_lists_the_forms()
    {
        Assert.Equal(ExitCode.Success, await RunAsync("--help"));

        Assert.Contains("podnet-exporter flows schema", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("--for=json-schema|fields", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_documentation_ends_with_the_table_that_the_program_prints()
    {
        var text = File.ReadAllText(Path.Combine(Repository.Root, "docs", "flows.md"));

        var generated = text[text.LastIndexOf("| field |", StringComparison.Ordinal)..];

        Assert.True(RecordFieldsText.Write() + "\n" == generated, "docs/flows.md is out of date: run 'make docs'");
    }

    /// <summary>But that it reads times that it only shows as texts.</summary>
    [Fact]
    public void The_columns_that_the_Flink_job_reads_are_those_that_the_program_prints()
    {
        var declared = FlinkColumns.Read(File.ReadAllText(Path.Combine(Repository.Root, "jobs", "flink", "source.sql")));
        var printed = FlinkColumns.Read(FlinkSchema.Write());

        Assert.NotEmpty(declared);
        Assert.All(declared, column => Assert.Contains(column.Value, (string[])[printed[column.Key], printed[column.Key].Replace("TIMESTAMP_LTZ(3)", "STRING", StringComparison.Ordinal)]));
    }

    private Task<int> RunAsync(params string[] arguments) => FlowsCommand.RunAsync(["schema", .. arguments], _output, _errors);
}
