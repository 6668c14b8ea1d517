using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>The arguments of jobs/flink/run.</summary>
public sealed class FlinkArgumentsTests
{
    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task All_wrong_arguments_are_named_at_once()
    {
        var allow = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(allow, "port_scan shop/web\nport_scam 22\n", TestContext.Current.CancellationToken);
            var (exitCode, output, errors) = await FlinkJob.RunScriptAsync(
                "--brokers=localhost", "--flows=a b", "--lateness=soon", "--learn=-1m", $"--allow={allow}", "--restore=/nowhere", "--threshold=port_scan.ports=many",
                "--threshold=depth=1", "--matrix", "--bounded=yes", "--brooker=localhost:9092");

            Assert.Equal(2, exitCode);
            Assert.Empty(output);
            Assert.Equal(
                ["'--brooker=localhost:9092'", "--allow", "--bounded", "--brokers", "--flows", "--lateness", "--learn", "--matrix", "--restore", "--threshold", "--threshold"],
                errors.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[0].TrimEnd(':')).Order(StringComparer.Ordinal));
            Assert.Contains($"{allow}, line 2: 'port_scam' is not a rule", errors, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(allow);
        }
    }

    /// <summary>In both forms, as jobs/spark reads them, too.</summary>
    [Theory]
    [InlineData("port_scan security/scanner # a workload\n* 10.0.0.14\nhost_scan tcp/9100\nbeacon 203.0.113.7", "--brokers: is missing")]
    [InlineData("beacon workload monitoring/blackbox\nbeacon address 2001:DB8:0::1\n* port udp/514", "--brokers: is missing")]
    [InlineData("port_scan security scanner", "line 1: 'port_scan security scanner' is not a rule, or *, and a workload, address or port")]
    [InlineData("port_scan workload 10.0.0.14", "line 1: '10.0.0.14' is not a workload")]
    [InlineData("port_scan 10.0.0.300", "line 1: '10.0.0.300' is not a workload (NAMESPACE/NAME), an address, or a port")]
    [InlineData("gap shop/web", "line 1: a gap has a node and no workload, address or port")]
    public async Task Exceptions_name_a_workload_an_address_or_a_port(string lines, string error)
    {
        using var files = new TemporaryDirectory();

        var (exitCode, _, errors) = await FlinkJob.RunScriptAsync($"--allow={files.Write("allow", lines)}");

        Assert.Equal(2, exitCode);
        Assert.Contains(error, errors.Split('\n')[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_topic_a_missing_broker_and_a_missing_engine_are_said_with_the_remedy()
    {
        await using var broker = await KafkaBroker.StartAsync();

        var topic = await FlinkJob.RunScriptAsync($"--brokers={broker.BootstrapServers}", "--flows=nothing");
        var engine = await FlinkJob.RunScriptAsync($"--brokers={broker.BootstrapServers}", "--engines=/nowhere");
        await broker.StopAsync();
        var away = await FlinkJob.RunScriptAsync($"--brokers={broker.BootstrapServers}");

        Assert.Equal(1, topic.ExitCode);
        Assert.Contains("--flows: there is no topic nothing", topic.Error, StringComparison.Ordinal);
        Assert.Equal(2, engine.ExitCode);
        Assert.Contains("--engines: there is neither flink nor flink.tar.xz in /nowhere", engine.Error, StringComparison.Ordinal);
        Assert.Equal(1, away.ExitCode);
        Assert.Contains($"--brokers: {broker.BootstrapServers}", away.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_SQL_is_printed_for_a_client_and_a_topic_without_append_times_is_a_warning()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync("flows");

        using var files = new TemporaryDirectory();
        var properties = files.Write("client.properties", "one's.name=it's");

        var (exitCode, output, errors) = await FlinkJob.RunScriptAsync(
            $"--brokers={broker.BootstrapServers}", "--flows=flows", "--lateness=10s", $"--properties={properties}", $"--checkpoints={files.Path}/it's", "--print");

        Assert.Equal(0, exitCode);
        Assert.Contains("warning: flows has message.timestamp.type=CreateTime", errors, StringComparison.Ordinal);
        Assert.Contains("INTERVAL '0 00:00:10.001' DAY TO SECOND(3)", output, StringComparison.Ordinal);
        Assert.Contains("EXECUTE STATEMENT SET", output, StringComparison.Ordinal);
        Assert.Contains("'properties.one''s.name' = 'it''s',", output, StringComparison.Ordinal);
        Assert.Contains("/it''s/';", output, StringComparison.Ordinal);
        Assert.DoesNotContain("${", output, StringComparison.Ordinal);
    }
}
