using System.Text.Json.Nodes;

namespace Exporter.Chart.Tests.Support;

internal static class Json
{
    internal static void AssertJson(string expected, JsonNode? actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), actual), $"Expected {expected}\nbut it is {actual?.ToJsonString() ?? "nothing"}");
}
