using Exporter.Engine.Tests.Support;

namespace Exporter.Engine.Tests;

/// <summary>The OpenSearch that other tests of the ring stand on.</summary>
public sealed class SearchNodeTests
{
    [Fact, Trait(Engines.Form, Engines.Short)]
    public async Task A_document_that_was_acknowledged_outlives_the_kill_of_the_node()
    {
        await using var node = await SearchNode.StartAsync();
        await node.RequestAsync(HttpMethod.Put, "/records/_create/1", new { text = "kept" });

        await node.KillAsync();
        await node.RestartAsync();

        var found = await node.RequestAsync(HttpMethod.Get, "/records/_doc/1");
        Assert.Equal("kept", found.GetProperty("_source").GetProperty("text").GetString());
    }
}
