using Exporter.Engine.Tests.Support;
using Exporter.Records;

namespace Exporter.Engine.Tests;

/// <summary>The sink elasticsearch with a node of OpenSearch that is away, full, closed, small or changed by hand.</summary>
public sealed class SearchSinkTests
{
    private const string Sink = "elasticsearch";
    private const string Refused = "The sink elasticsearch takes no records: ";

    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task Nothing_is_sent_before_the_template_is_there()
    {
        await using var node = await SearchNode.StartAsync();
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node));
        await stream.IssueAsync(500);
        await stream.SayAsync($"{Refused}the index template podnet-flow is not there; run 'podnet-exporter flows install --to=opensearch --url=...'");
        Assert.Equal(0, (await node.RequestAsync(HttpMethod.Get, $"/{SearchSinks.Index}-*/_count")).GetProperty("count").GetInt32());

        await SearchSinks.InstallAsync(node);
        await stream.SettleAsync(Sink);

        Assert.Equal((0, 0), stream.Compare(Sink, await SearchSinks.ReadAllAsync(node)));
        Assert.Equal(1, stream.CountLines(Refused));
        var fields = await node.RequestAsync(HttpMethod.Get, $"/{SearchSinks.Daily}/_mapping");
        Assert.Equal("ip", fields.GetProperty(SearchSinks.Daily).GetProperty("mappings").GetProperty("properties").GetProperty("source").GetProperty("properties").GetProperty("ip").GetProperty("type").GetString());
    }

    [Fact]
    public async Task Records_that_do_not_fit_a_mapping_changed_by_hand_are_rejected_and_the_first_is_said()
    {
        await using var node = await SearchNode.StartAsync();
        await SearchSinks.InstallAsync(node);
        await node.RequestAsync(HttpMethod.Put, $"/{SearchSinks.Daily}", new { mappings = new { properties = new { flow = new { properties = new { end_reason = new { type = "long" } } } } } });
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node));

        await stream.IssueAsync(500, (flow, i) => flow.EndReason = i % 5 == 0 ? FlowEndReason.Reset : null);
        await stream.SettleAsync(Sink);

        Assert.Equal((100, 0), stream.Compare(Sink, await SearchSinks.ReadAllAsync(node)));
        Assert.Equal((400, 100), (stream.CountsOf(Sink).Acknowledged, stream.CountsOf(Sink).Rejected));
        Assert.Equal(1, stream.CountLines("reject a record: "));
        Assert.Equal(1, stream.CountLines("flow.end_reason"));
    }

    [Theory]
    [InlineData("write block")]
    [InlineData("closed index")]
    [InlineData("flood stage")]
    [InlineData("missing pipeline")]
    public async Task Records_wait_for_an_index_that_takes_none_and_the_remedy_is_said(string state)
    {
        await using var node = await SearchNode.StartAsync();
        await SearchSinks.InstallAsync(node);
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node));
        await stream.IssueAsync(500);
        await stream.SettleAsync(Sink);
        var (block, remove, reason) = state switch
        {
            "write block" => (Setting("index.blocks.write", true), Setting("index.blocks.write", null), "is blocked (403 cluster_block_exception"),
            "flood stage" => (Setting("index.blocks.read_only_allow_delete", true), Setting("index.blocks.read_only_allow_delete", null), "is blocked (429 cluster_block_exception"),
            "missing pipeline" => (Pipeline("none-such"), Pipeline(null), "names a pipeline that cannot be used (400 illegal_argument_exception: pipeline with id [none-such] does not exist)"),
            _ => ((HttpMethod.Post, "_close", (object?)null), (HttpMethod.Post, "_open", null), "is closed; open it (POST podnet-flow-2026.11.28/_open)"),
        };

        await node.RequestAsync(block.Item1, $"/{SearchSinks.Daily}/{block.Item2}", block.Item3);
        await stream.IssueAsync(500);
        await stream.SayAsync($"{Refused}the index {SearchSinks.Daily} {reason}");
        Assert.Equal((500, 500), (stream.CountsOf(Sink).Acknowledged, stream.CountsOf(Sink).UnderWay));
        await node.RequestAsync(remove.Item1, $"/{SearchSinks.Daily}/{remove.Item2}", remove.Item3);
        await stream.SettleAsync(Sink);

        Assert.Equal((0, 0), stream.Compare(Sink, await SearchSinks.ReadAllAsync(node)));
        Assert.Equal(0, stream.CountsOf(Sink).Lost);

        static (HttpMethod Method, string Path, object? Body) Pipeline(string? name) => (HttpMethod.Put, "_settings", new Dictionary<string, string?> { ["index.default_pipeline"] = name });

        static (HttpMethod Method, string Path, object? Body) Setting(string name, bool? value) => (HttpMethod.Put, "_settings", new Dictionary<string, bool?> { [name] = value });
    }

    [Fact]
    public async Task Records_wait_while_an_index_has_the_name_of_the_alias()
    {
        await using var node = await SearchNode.StartAsync();
        await SearchSinks.InstallAsync(node);
        await node.RequestAsync(HttpMethod.Put, $"/{SearchSinks.Index}", new { });
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node));

        await stream.IssueAsync(500);
        await stream.SayAsync($"{Refused}the index {SearchSinks.Daily} cannot be made (400 invalid_alias_name_exception");
        await node.RequestAsync(HttpMethod.Delete, $"/{SearchSinks.Index}");
        await stream.SettleAsync(Sink);

        Assert.Equal((0, 0), stream.Compare(Sink, await SearchSinks.ReadAllAsync(node)));
        Assert.Equal(0, stream.CountsOf(Sink).Lost);
    }

    [Fact]
    public async Task Records_wait_for_a_node_that_takes_no_bulk_that_names_its_index()
    {
        await using var node = await SearchNode.StartAsync("rest.action.multi.allow_explicit_index=false");
        await SearchSinks.InstallAsync(node);
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node));

        await stream.IssueAsync(500);
        await stream.SayAsync($"{Refused}{node.Url.GetLeftPart(UriPartial.Authority)} takes no bulk that names its index (400 BadRequest: illegal_argument_exception: explicit index in bulk is not allowed)");

        Assert.Equal((0, 500), (stream.CountsOf(Sink).Lost, stream.CountsOf(Sink).UnderWay));
    }

    [Fact]
    public async Task A_node_that_is_killed_under_load_loses_nothing()
    {
        await using var node = await SearchNode.StartAsync();
        await SearchSinks.InstallAsync(node);
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node));

        await stream.IssueWhileAsync(KillAsync(), 50, TimeSpan.FromMilliseconds(200));
        await stream.SettleAsync(Sink);

        Assert.Equal((0, 0), stream.Compare(Sink, await SearchSinks.ReadAllAsync(node)));
        Assert.Equal(0, stream.CountsOf(Sink).Lost);

        async Task KillAsync()
        {
            for (var i = 0; i < 2; i++)
            {
                await Task.Delay(TimeSpan.FromSeconds(2));
                await node.KillAsync();
                await Task.Delay(TimeSpan.FromSeconds(1));
                await node.RestartAsync();
            }
            await Task.Delay(TimeSpan.FromSeconds(1));
        }
    }

    /// <summary>One thread and one place in its queue, with many shards: some items of a bulk find no place.</summary>
    [Fact]
    public async Task Records_that_find_no_place_in_the_queue_of_the_node_are_sent_again()
    {
        await using var node = await SearchNode.StartAsync("thread_pool.write.size=1", "thread_pool.write.queue_size=1");
        await SearchSinks.InstallAsync(node);
        await node.RequestAsync(HttpMethod.Put, $"/{SearchSinks.Daily}", new { settings = new { index = new { number_of_shards = 8 } } });
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node));

        for (var i = 0; i < 2; i++)
        {
            await stream.IssueAsync(500);
        }
        await stream.SettleAsync(Sink);

        Assert.Equal((0, 0), stream.Compare(Sink, await SearchSinks.ReadAllAsync(node)));
        Assert.Equal(1000, stream.CountsOf(Sink).Acknowledged);
        var pool = await node.RequestAsync(HttpMethod.Get, "/_nodes/stats/thread_pool?filter_path=**.write.rejected");
        Assert.NotEqual(0, pool.GetProperty("nodes").EnumerateObject().Single().Value.GetProperty("thread_pool").GetProperty("write").GetProperty("rejected").GetInt64());
    }

    [Theory]
    [InlineData("indexing_pressure.memory.limit=64kb")]
    [InlineData("http.max_content_length=64kb")]
    public async Task Bulks_above_a_limit_of_the_node_are_halved_until_they_are_taken(string setting)
    {
        await using var node = await SearchNode.StartAsync(setting);
        await SearchSinks.InstallAsync(node);
        await using var stream = await RecordStream.StartAsync(SearchSinks.Open(node));

        await stream.IssueAsync(1000);
        await stream.SettleAsync(Sink);

        Assert.Equal((0, 0), stream.Compare(Sink, await SearchSinks.ReadAllAsync(node)));
        Assert.Equal(1000, stream.CountsOf(Sink).Acknowledged);
    }
}
