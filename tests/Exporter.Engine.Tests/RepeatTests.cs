using System.Globalization;
using System.Text.RegularExpressions;
using Exporter.Commands;
using Exporter.Engine.Tests.Golden;
using Exporter.Engine.Tests.Support;
using Exporter.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>The statements of docs/export.md that remove repeats, run on the engines over golden traffic, of which some records come twice.</summary>
public sealed partial class RepeatTests
{
    private const int HeapMegabytes = 700;

    /// <summary>Reads flows.json in the directory that is its argument, runs the statements there, and prints how many rows are left.</summary>
    private const string FlinkProgram = """
        import java.nio.file.*;
        import org.apache.flink.table.api.*;
        class Run {
            public static void main(String[] arguments) throws Exception {
                var engine = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
                for (var statement : Files.readString(Path.of(arguments[0], "statements.sql")).split(";\n")) {
                    engine.executeSql(statement);
                }
                var count = 0;
                try (var rows = engine.executeSql("SELECT `id` FROM `once`").collect()) {
                    for (; rows.hasNext(); rows.next()) {
                        count++;
                    }
                }
                System.out.println("rows: " + count);
            }
        }
        """;

    /// <summary>Without messages that no exporter writes.</summary>
    private static readonly string[] Lines =
        [.. GoldenTraffic.Make().Records.Select(record => record.Value ?? "").Where(line => line.Contains("\"observer\":{", StringComparison.Ordinal))];

    private static int Distinct => Lines.Select(line => Id().Match(line).Value).Distinct().Count();

    [Fact]
    public async Task Flink_removes_them_by_a_window_as_the_records_stream_in()
    {
        var jars = Engines.Flink;

        var rows = await CountRowsAsync(directory =>
        {
            // The clock of a node is an hour ahead, and a file does not say when a broker has appended a record.
            var table = Schema("flink").Split("  `appended`")[0] + $"""
                WATERMARK FOR `@timestamp` AS `@timestamp` - INTERVAL '3' HOUR
                ) WITH ('connector' = 'filesystem', 'path' = '{directory}/flows.json', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601')
                """;
            File.WriteAllText(Path.Combine(directory, "statements.sql"), $"{table};\n{Example("sql")}");
            File.WriteAllText(Path.Combine(directory, "Run.java"), FlinkProgram);
            return JavaProcess.Java(jars, HeapMegabytes, $"-Djava.io.tmpdir={directory}", Path.Combine(directory, "Run.java"), directory);
        });

        AssertRepeatsAreGone(rows);
    }

    [Fact]
    public async Task Spark_removes_them_by_their_id()
    {
        var spark = Engines.Spark;

        var rows = await CountRowsAsync(directory =>
        {
            File.WriteAllText(Path.Combine(directory, "schema"), Schema("spark"));
            File.WriteAllText(
                Path.Combine(directory, "run.py"),
                $"""
                import os
                from pyspark.sql import SparkSession
                os.chdir("{directory}")
                spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.memory", "{HeapMegabytes}m").getOrCreate()
                schema = open("schema").read()
                {Example("python")}
                print("rows:", flows.count(), flush=True)
                """);
            return
            [
                $"PYTHONPATH={spark}", $"SPARK_HOME={spark}/pyspark", "SPARK_LOCAL_IP=127.0.0.1", $"TMPDIR={directory}", $"JAVA_TOOL_OPTIONS=-Djava.io.tmpdir={directory}",
                "python3", Path.Combine(directory, "run.py"),
            ];
        });

        AssertRepeatsAreGone(rows);
    }

    private static void AssertRepeatsAreGone(int rows)
    {
        Assert.True(Distinct < Lines.Length, "The traffic has no repeats.");
        Assert.Equal(Distinct, rows);
    }

    /// <summary>Runs a program over flows.json in a directory of its own, which prints how many rows are left.</summary>
    private static async Task<int> CountRowsAsync(Func<string, IEnumerable<string>> command)
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllLines(Path.Combine(directory.Path, "flows.json"), Lines);
        var (exitCode, output, error) = await Command.RunAsync("env", command(directory.Path));
        Assert.True(exitCode == 0, error);
        return int.Parse(Rows().Match(output).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
    }

    private static string Schema(string engine)
    {
        using var output = new StringWriter();
        Assert.Equal(0, FlowsSchemaCommand.Run([$"--for={engine}"], output, output));
        return output.ToString();
    }

    /// <summary>The code of docs/export.md in a language.</summary>
    private static string Example(string language) => Assert.Single(
        Regex.Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "export.md")), $"^```{language}\n(.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)).Groups[1].Value;

    [GeneratedRegex("\"event\":{\"id\":\"[^\"]+")]
    private static partial Regex Id();

    [GeneratedRegex(@"rows: ([0-9]+)\n")]
    private static partial Regex Rows();
}
