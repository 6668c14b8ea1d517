using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>Two sinks on one ring, one of which does not answer.</summary>
public sealed class SlowSinkTests
{
    private const string Search = "elasticsearch";
    private const string Kafka = "kafka";

    /// <summary>More than the memory holds: about 35,700 records.</summary>
    private const int Intervals = 40;
    private const int Records = 1000;

    [Fact]
    public async Task A_search_node_that_does_not_answer_holds_up_no_record_to_Kafka()
    {
        await using var node = await SearchNode.StartAsync();
        await SearchSinks.InstallAsync(node);
        await using var broker = await KafkaBroker.StartAsync();
        await broker.CreateTopicAsync(KafkaSinks.Topic, partitions: 12);
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node), KafkaSinks.Open(KafkaSinks.OptionsOf(broker)));
        await stream.IssueAsync(Records);
        await stream.SettleAsync(Search);

        await node.HoldAsync(true);
        for (var i = 0; i < Intervals; i++)
        {
            await stream.IssueAsync(Records);
            await stream.SettleAsync(Kafka);
        }
        var search = stream.CountsOf(Search);
        Assert.Equal(Records, search.Acknowledged);
        Assert.NotEqual(0, search.Backpressure);
        await stream.SayAsync("The sink elasticsearch takes no records: a write has lasted for 10 s");
        await node.HoldAsync(false);
        await stream.SettleAsync(Search);

        Assert.Equal((0, 0), stream.Compare(Kafka, KafkaSinks.ReadAll(broker)));
        Assert.Equal(0, stream.CountsOf(Kafka).Lost);
        var (missing, _) = stream.Compare(Search, await SearchSinks.ReadAllAsync(node));
        Assert.Equal(stream.CountsOf(Search).Lost, missing);
    }
}
