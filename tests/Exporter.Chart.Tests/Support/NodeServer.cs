using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Exporter.Chart.Tests.Support;

/// <summary>As much of an API server as helm asks when it looks for nodes, and for whether a DaemonSet and a ConfigMap are there already.</summary>
internal sealed class NodeServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private NodeServer(WebApplication app) => _app = app;

    internal bool IsAskedForNodes { get; private set; }

    internal string Url => _app.Urls.Single();

    /// <param name="labels">Of each node, as JSON.</param>
    internal static async Task<NodeServer> StartAsync(params string[] labels)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1));
        var app = builder.Build();
        var nodes = new JsonArray([.. labels.Select((text, index) => new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Node",
            ["metadata"] = new JsonObject { ["name"] = $"node-{index}", ["labels"] = JsonNode.Parse(text) },
        })]);
        Answer(app, "/version", """{"major": "1", "minor": "35", "gitVersion": "v1.35.0"}""");
        Answer(app, "/api", """{"kind": "APIVersions", "versions": ["v1"]}""");
        Answer(app, "/apis", """
            {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
              {"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}], "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"}}]}
            """);
        Answer(app, "/api/v1", """
            {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
              {"name": "nodes", "singularName": "node", "namespaced": false, "kind": "Node", "verbs": ["get", "list"]},
              {"name": "configmaps", "singularName": "configmap", "namespaced": true, "kind": "ConfigMap", "verbs": ["get"]}]}
            """);
        Answer(app, "/apis/apps/v1", """
            {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [
              {"name": "daemonsets", "singularName": "daemonset", "namespaced": true, "kind": "DaemonSet", "verbs": ["get"]}]}
            """);
        var server = new NodeServer(app);
        var list = new JsonObject { ["kind"] = "NodeList", ["apiVersion"] = "v1", ["metadata"] = new JsonObject(), ["items"] = nodes }.ToJsonString();
        app.MapGet("/api/v1/nodes", () =>
        {
            server.IsAskedForNodes = true;
            return Results.Text(list, "application/json");
        });
        await app.StartAsync();
        return server;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private static void Answer(WebApplication app, string path, string json) => app.MapGet(path, () => Results.Text(json, "application/json"));
}
