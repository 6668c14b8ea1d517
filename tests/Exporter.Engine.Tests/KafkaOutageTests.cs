using System.Net;
using System.Net.Sockets;
using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>Brokers that are away, dead or silent: nothing is lost, and the log says why.</summary>
public sealed class KafkaOutageTests
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task Records_wait_for_a_broker_that_is_not_there_at_the_start()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions: 4);
        await broker.StopAsync();
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient)));
        await stream.IssueAsync(1000);
        await stream.SayAsync("The sink kafka takes no records: the brokers do not acknowledge; look whether they run");
        Assert.Equal(1000, stream.CountsOf("kafka").UnderWay);

        await broker.RestartAsync();
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
        Assert.Equal(1, stream.CountLines("The sink kafka takes records again"));
    }

    [Fact]
    public Task A_broker_that_is_killed_again_and_again_under_load_loses_nothing() => LosesNothingAsync(nodes: 1, partitions: 4, async broker =>
    {
        for (var i = 0; i < 3; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(2));
            await broker.KillAsync();
            await Task.Delay(TimeSpan.FromSeconds(2));
            await broker.RestartAsync();
        }
        await Task.Delay(TimeSpan.FromSeconds(1));
    });

    [Fact]
    public Task The_death_of_the_leader_of_three_nodes_loses_nothing() => LosesNothingAsync(nodes: 3, partitions: 6, async broker =>
    {
        for (var i = 0; i < 2; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(2));
            var leader = broker.LeaderOf(KafkaSinks.Topic, 0);
            await broker.KillAsync(leader);
            await Task.Delay(TimeSpan.FromSeconds(3));
            await broker.RestartAsync(leader);
            await Task.Delay(TimeSpan.FromSeconds(5));
        }
    });

    /// <summary>More than memory has room for: what is lost is counted, and memory stays within its limit.</summary>
    [Fact]
    public async Task Of_a_minute_without_a_broker_the_newest_records_arrive_and_the_others_are_counted_as_lost()
    {
        const int Records = 1000;
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions: 4);
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker)));
        await stream.IssueAsync(Records);
        await stream.SettleAsync("kafka");

        await broker.StopAsync();
        await stream.IssueWhileAsync(Task.Delay(TimeSpan.FromMinutes(1)), Records, Pause);
        await stream.SayAsync("The sink kafka takes no records: the brokers do not acknowledge; look whether they run");
        var last = await stream.IssueAsync(Records);
        await broker.RestartAsync();
        await stream.SettleAsync("kafka");

        var came = KafkaSinks.ReadAll(broker).ToList();
        var (missing, _) = stream.Compare("kafka", came);
        var counts = stream.CountsOf("kafka");
        Assert.Equal((counts.Lost, counts.Backpressure), (missing, missing));
        Assert.NotEqual(0, missing);
        Assert.Equal(Records, came.Count(line => line.Contains($"\"interval\":{last},", StringComparison.Ordinal) && line.Contains("podnet.flow\"", StringComparison.Ordinal)));
        Assert.Equal(1, stream.CountLines("The sink kafka takes records again"));
    }

    [Fact]
    public async Task A_broker_without_room_on_its_disk_ends_and_loses_nothing()
    {
        const int Records = 1000;
        await using var broker = await KafkaBroker.StartAsync(disk: 96);
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions: 4);
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient)));
        // As much as memory has room for may be under way when the broker ends.
        while (broker.IsRunning())
        {
            await stream.IssueAsync(Records);
            await Wait.UntilAsync(() => Task.FromResult(stream.CountsOf("kafka").UnderWay == 0 || !broker.IsRunning()), () => "The broker neither acknowledges nor ends");
        }
        await stream.IssueAsync(Records);
        await stream.SayAsync("The sink kafka takes no records");

        broker.MakeRoom();
        await broker.RestartAsync();
        await stream.SettleAsync("kafka");

        Assert.Equal(0, stream.Compare("kafka", KafkaSinks.ReadAll(broker)).Missing);
        Assert.Equal(0, stream.CountsOf("kafka").Lost);
    }

    /// <summary>Longer than a request may last (socket.timeout.ms): the broker appends requests whose answers nobody waits for, and gets their repeats.</summary>
    [Fact]
    public async Task A_request_that_is_appended_after_its_time_out_is_not_appended_again()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions: 4);
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker, "socket.timeout.ms=1000", "request.timeout.ms=900")));
        await stream.IssueAsync(300);
        await stream.SettleAsync("kafka");

        await stream.IssueWhileAsync(HoldAsync(), 300, Pause);
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
        Assert.NotEqual(0, stream.CountLines("Timed out ProduceRequest"));

        async Task HoldAsync()
        {
            await Task.Delay(TimeSpan.FromSeconds(1));
            await broker.HoldAsync(true);
            await Task.Delay(TimeSpan.FromSeconds(5));
            await broker.HoldAsync(false);
            await Task.Delay(TimeSpan.FromSeconds(2));
        }
    }

    /// <summary>The sink gives the records up to send them again with another producer id: repeats have the ids of the first.</summary>
    [Fact]
    public async Task Records_that_are_appended_after_the_sink_has_given_them_up_come_again_with_the_same_ids()
    {
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions: 4);
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker, KafkaSinks.Impatient)));
        await stream.IssueAsync(300);
        await stream.SettleAsync("kafka");

        await broker.HoldAsync(true);
        await stream.IssueAsync(300);
        await stream.SayAsync("The sink kafka takes no records: the brokers do not acknowledge");
        await broker.HoldAsync(false);
        await stream.SettleAsync("kafka");

        Assert.Equal(0, stream.Compare("kafka", KafkaSinks.ReadAll(broker)).Missing);
        Assert.Equal(0, stream.CountsOf("kafka").Lost);
    }

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task A_server_that_accepts_connections_and_never_answers_is_said_and_does_not_hold_up_the_end()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf($"{listener.LocalEndpoint}", KafkaSinks.Impatient)));
        await stream.IssueAsync(100);
        await stream.SayAsync("The sink kafka takes no records: the brokers do not acknowledge");

        Assert.Equal(100, stream.CountsOf("kafka").UnderWay);
        await stream.DisposeAsync().AsTask().WaitAsync(Silence.Limit);
    }

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task A_name_without_an_address_is_said()
    {
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf("kafka.invalid:9092", KafkaSinks.Impatient)));
        await stream.IssueAsync(100);

        await stream.SayAsync("The sink kafka takes no records: a broker's name has no address; correct Kafka:Brokers");
        Assert.Equal(100, stream.CountsOf("kafka").UnderWay);
    }

    /// <summary>Issues records as long as the trouble lasts.</summary>
    private static async Task LosesNothingAsync(int nodes, int partitions, Func<KafkaBroker, Task> trouble)
    {
        await using var broker = await KafkaBroker.StartAsync(nodes);
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions);
        await using var stream = await RecordStream.StartAsync(KafkaSinks.Open(KafkaSinks.OptionsOf(broker)));

        await stream.IssueWhileAsync(trouble(broker), 100, Pause);
        await stream.SettleAsync("kafka");

        Assert.Equal((0, 0), stream.Compare("kafka", KafkaSinks.ReadAll(broker)));
        Assert.Equal(0, stream.CountsOf("kafka").Lost);
    }
}
