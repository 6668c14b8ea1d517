using Exporter.Engine.Tests.Support;
using Exporter.Records;
using Exporter.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>jobs/spark/run before Spark starts.</summary>
public sealed class SparkArgumentTests
{
    [Theory, Trait(Engines.Form, Engines.Short)]
    [InlineData("argument --brokers or --files is missing: give one of them")]
    [InlineData("argument --brokers: 'here' is not HOST:PORT; write it as kafka.example:9092", "--brokers=here")]
    [InlineData("argument --brokers: 'here:99999' is not HOST:PORT", "--brokers=here:99999")]
    [InlineData("argument --flows: 'a b' cannot be a topic", "--brokers=here:9092", "--flows=a b")]
    [InlineData("argument --flows: it is a topic, and --files is given too", "--files=/etc/hosts", "--flows=a")]
    [InlineData("argument --files: no file matches '/nowhere/*'; give the path of a file", "--files=/nowhere/*")]
    [InlineData("argument --from: 'noon' is not a time; write it as 2026-11-28T10:00:00Z", "--files=/etc/hosts", "--from=noon")]
    [InlineData("argument --to: 2026-11-28T10:00:00Z is not after --from", "--files=/etc/hosts", "--from=2026-11-28T11:00:00Z", "--to=2026-11-28T11:00:00+01:00")]
    [InlineData("argument --detections: the topic needs brokers; give --brokers=HOST:PORT too", "--files=/etc/hosts", "--detections=a")]
    [InlineData("argument --report: '/proc/report' cannot be made", "--files=/etc/hosts", "--report=/proc/report")]
    [InlineData("argument --allow: '/nowhere' cannot be read", "--files=/etc/hosts", "--allow=/nowhere")]
    [InlineData("argument --properties: '/nowhere' cannot be read", "--brokers=here:9092", "--properties=/nowhere")]
    [InlineData("argument --properties: they are of Kafka's client; give --brokers=HOST:PORT too", "--files=/etc/hosts", "--properties=/etc/hosts")]
    [InlineData("argument --beacon-spread: '2' is not a number between 0 and 1", "--files=/etc/hosts", "--beacon-spread=2")]
    [InlineData("argument --beacon-connections: '1' is not a number of at least 3", "--files=/etc/hosts", "--beacon-connections=1")]
    [InlineData("unrecognized arguments: --broker=here:9092", "--files=/etc/hosts", "--broker=here:9092")]
    public async Task A_wrong_argument_ends_with_2_and_a_message_that_names_it(string message, params string[] arguments)
    {
        var (exitCode, _, error) = await Command.RunAsync(SparkJob.Run, arguments);

        Assert.Equal(2, exitCode);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }

    [Theory, Trait(Engines.Form, Engines.Short)]
    [InlineData("beacon workload")]
    [InlineData("gap workload shop/web")]
    [InlineData("beacon shop web port")]
    [InlineData("bacon workload shop/web")]
    [InlineData("beacon workload web")]
    [InlineData("beacon address 203.0.113.400")]
    [InlineData("beacon port 70000")]
    [InlineData("beacon pod web-0")]
    public async Task A_wrong_exception_is_named_by_its_file_and_line(string line)
    {
        using var directory = new TemporaryDirectory();
        var file = directory.Write("allow", $"# exceptions\n* workload monitoring/prometheus\nbeacon port 123 # clocks\nbeacon address 2001:db8::1\n* udp/514\n* 10.0.0.14\nport_scan security/scanner\nbeacon 2001:DB8::1\n{line}\n");

        var (exitCode, _, error) = await Command.RunAsync(SparkJob.Run, "--files=/etc/hosts", $"--allow={file}");

        Assert.Equal(2, exitCode);
        Assert.Contains($"argument --allow: {file}:9: '{line}' is not a rule (or *), and a workload, an address or a port", error, StringComparison.Ordinal);
    }

    [Fact, Trait(Engines.Form, Engines.Short)]
    public void The_schema_that_the_job_reads_is_the_schema_of_records() =>
        Assert.Equal(SparkSchema.Write().TrimEnd(), File.ReadAllText(Path.Combine(Repository.Root, "jobs", "spark", "schema.sql")).TrimEnd());
}
