using Confluent.Kafka.Admin;
using Exporter.Engine.Tests.Support;
using Exporter.Export;
using Exporter.Export.Kafka;
using Exporter.Records;

namespace Exporter.Engine.Tests;

/// <summary>Brokers that answer and do not take records: what is not the record's fault is waited for, what is its fault is rejected alone.</summary>
public sealed class KafkaRefusalTests : IDisposable
{
    private const int Partitions = 4;

    private static readonly Dictionary<string, string> SmallMessages = new() { ["max.message.bytes"] = "100000" };

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task A_record_larger_than_the_broker_takes_is_rejected_alone()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions, SmallMessages);
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker) with { Compression = KafkaCompression.None }));
        var large = new RecordEnd { Namespace = "shop", Pod = new string('x', 120_000) };

        await stream.IssueAsync(300, (flow, i) => flow.Source.End = i % 100 == 50 ? large : flow.Source.End);
        await stream.IssueAsync(300);
        await stream.SettleAsync("kafka");

        Assert.Equal((3, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
        Assert.Equal(3, stream.CountsOf("kafka").Rejected);
        Assert.Equal(1, stream.CountLines("Kafka does not accept a record of "));
    }

    /// <summary>
    /// As where the clock of a node is wrong. Brokers compare the client's time with theirs; one millisecond is less than a record takes on its way here.
    /// </summary>
    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task Records_whose_time_the_broker_refuses_wait_until_the_topic_has_its_own()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions, new() { ["message.timestamp.type"] = "CreateTime", ["message.timestamp.before.max.ms"] = "1" });
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker)));
        for (var i = 0; i < 3; i++)
        {
            await stream.IssueAsync(300);
        }
        await stream.SayAsync("The sink kafka takes no records: this node's clock and the brokers' differ by more than the topic podnet.flows allows");

        await KafkaTopics.InstallAsync(KafkaSinks.OptionsOf(broker), [new(KafkaSinks.Topic, Partitions, -1, TimeSpan.FromDays(1))], _ => { });
        await stream.SettleAsync("kafka");

        Assert.Equal(0, stream.Compare("kafka", KafkaSinks.ReadAll(broker)).Missing);
        Assert.Equal((900, 0, 0), (stream.CountsOf("kafka").Acknowledged, stream.CountsOf("kafka").Lost, stream.CountsOf("kafka").Rejected));
    }

    [Fact]
    public async Task Records_wait_for_a_topic_that_is_not_there()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient)));
        await stream.IssueAsync(300);
        await stream.SayAsync("The sink kafka takes no records: there is no topic podnet.flows; 'podnet-exporter flows install --to=kafka' makes it");
        Assert.Equal(300, stream.CountsOf("kafka").UnderWay);

        await KafkaTopics.InstallAsync(KafkaSinks.OptionsOf(broker), [new(KafkaSinks.Topic, Partitions, -1, TimeSpan.FromDays(1))], _ => { });
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
    }

    [Fact]
    public async Task Records_wait_for_the_replicas_that_the_topic_asks_for()
    {
        await using var broker = await KafkaBroker.StartAsync(nodes: 3);
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions, new() { ["min.insync.replicas"] = "3" });
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient)));
        await stream.IssueAsync(300);
        await stream.SettleAsync("kafka");

        await broker.KillAsync(2);
        await stream.IssueAsync(300);
        await stream.SayAsync("whether the topic podnet.flows has the replicas in sync that its min.insync.replicas asks for");
        await broker.RestartAsync(2);
        await stream.SettleAsync("kafka");

        Assert.Equal(0, stream.Compare("kafka", KafkaSinks.ReadAll(broker)).Missing);
        Assert.Equal(0, stream.CountsOf("kafka").Lost);
    }

    [Fact]
    public async Task A_topic_that_is_deleted_and_made_again_with_fewer_partitions_gets_all_that_came_after()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions);
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient)));
        await stream.IssueAsync(300);
        await stream.SettleAsync("kafka");
        var before = KafkaSinks.ReadAll(broker).ToList();

        await broker.DeleteTopicAsync(KafkaSinks.Topic);
        await stream.IssueAsync(300);
        await stream.SayAsync("The sink kafka takes no records: there is no topic podnet.flows");
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions / 2);
        await stream.SettleAsync("kafka");
        await stream.IssueAsync(300);
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", before.Concat(KafkaSinks.ReadAll(broker))));
        Assert.Equal(0, stream.CountsOf("kafka").Lost);
    }

    /// <summary>As an operator may do in a moment in which the sink sends nothing.</summary>
    [Fact]
    public async Task A_topic_that_is_made_again_while_nothing_is_sent_gets_all_that_comes_after()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions);
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient)));
        await stream.IssueAsync(300);
        await stream.SettleAsync("kafka");
        var before = KafkaSinks.ReadAll(broker).ToList();

        await broker.DeleteTopicAsync(KafkaSinks.Topic);
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions / 2);
        await stream.IssueAsync(300);
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", before.Concat(KafkaSinks.ReadAll(broker))));
        Assert.Equal(0, stream.CountsOf("kafka").Lost);
    }

    [Fact]
    public async Task A_right_that_is_taken_away_is_waited_for()
    {
        await using var broker = await KafkaBroker.StartAsync(properties: Rights, protocol: "SASL_PLAINTEXT");
        await broker.CreateTopicAsync(KafkaSinks.Topic, Partitions);
        var options = KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient) with
        {
            Security = KafkaSecurity.SaslPlaintext,
            SaslMechanism = "PLAIN",
            UserFile = _directory.Write("user", "podnet"),
            PasswordFile = _directory.Write("password", "s3cret"),
        };
        using var admin = broker.Administer();
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(options));
        await stream.IssueAsync(300);
        await stream.SayAsync("The sink kafka takes no records: the user may not write to the topic podnet.flows; give it the rights Write and Describe");

        await admin.CreateAclsAsync([RightToWrite]);
        await stream.SettleAsync("kafka");
        await admin.DeleteAclsAsync([RightToWrite.ToFilter()]);
        await stream.IssueAsync(300);
        await stream.SayAsync("The sink kafka takes no records: the user may not write to the topic podnet.flows", lines: 2);
        Assert.Equal((300, 300), (stream.CountsOf("kafka").Acknowledged, stream.CountsOf("kafka").UnderWay));

        await admin.CreateAclsAsync([RightToWrite]);
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
    }

    /// <summary>Of a broker that lets its clients do only what ACLs allow.</summary>
    private static Dictionary<string, string> Rights => new(KafkaBroker.User)
    {
        ["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ["super.users"] = KafkaBroker.PlainUser,
    };

    private static AclBinding RightToWrite => new()
    {
        Pattern = new() { Type = ResourceType.Topic, ResourcePatternType = ResourcePatternType.Literal, Name = KafkaSinks.Topic },
        Entry = new() { Principal = "User:podnet", Host = "*", Operation = AclOperation.Write, PermissionType = AclPermissionType.Allow },
    };
}
