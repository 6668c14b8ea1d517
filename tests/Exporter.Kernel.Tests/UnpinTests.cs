using Exporter.Kernel.Tests.Support;
using Exporter.Tests.Kubernetes;
using Microsoft.AspNetCore.Http;

namespace Exporter.Kernel.Tests;

/// <summary>What stays pinned when the exporter of a DaemonSet's pod ends, by the real binary on a test's API server.</summary>
public sealed class UnpinTests : IAsyncLifetime
{
    private const string NotFound = """{"kind": "Status", "status": "Failure", "reason": "NotFound", "details": {"name": "podnet", "group": "apps", "kind": "daemonsets"}, "code": 404}""";
    private const string Replaced = """{"kind": "DaemonSet", "metadata": {"uid": "ds-2"}}""";
    private const string Forbidden = """{"kind": "Status", "status": "Failure", "reason": "Forbidden", "details": {"name": "podnet", "group": "apps", "kind": "daemonsets"}, "code": 403}""";

    private readonly PinnedNode _node = new();
    private ApiServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ApiServer.CreateAsync();
        AddOwnPod(new PodOwner("DaemonSet", "podnet", Uid: "ds-1"));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _node.Dispose();
    }

    [Theory]
    [InlineData(404, NotFound, "is deleted")]
    [InlineData(200, """{"kind": "DaemonSet", "metadata": {"uid": "ds-1", "deletionTimestamp": "2026-11-28T12:00:00Z", "finalizers": ["foregroundDeletion"]}}""", "is deleting")]
    public async Task Nothing_outlives_the_exporter_whose_DaemonSet_was_deleted(int status, string body, string text)
    {
        Answer(status, body);
        using var pod = new Pod();
        using var exporter = await StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);

        Assert.Equal(0, exporter.Terminate());

        Assert.Contains(exporter.Log, line => line.Contains($"DaemonSet monitoring/podnet {text}", StringComparison.Ordinal));
        Assert.False(Directory.Exists(_node.Pins));
    }

    /// <summary>A process of the new DaemonSet may have the folder open, to wait for its lock.</summary>
    [Fact]
    public async Task Where_the_DaemonSet_was_replaced_an_empty_folder_is_left_for_the_next()
    {
        Answer(200, Replaced);
        using var pod = new Pod();
        using var exporter = await StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);

        Assert.Equal(0, exporter.Terminate());

        Assert.Contains(exporter.Log, line => line.Contains("DaemonSet monitoring/podnet is replaced", StringComparison.Ordinal));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_node.Folder));
    }

    /// <summary>The pod of a new DaemonSet of this name, or of another release.</summary>
    [Theory]
    [InlineData(200, Replaced)]
    [InlineData(404, NotFound)]
    public async Task An_exporter_that_already_waits_for_one_that_unpins_counts_after_it(int status, string body)
    {
        Answer(status, body);
        using var pod = new Pod();
        using var exporter = await StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);
        using var successor = await ExporterProcess.StartAsync(_node.Options);
        await successor.ScrapeUntilAsync(samples => samples["podnet_exporter_waiting"] == 1);

        Assert.Equal(0, exporter.Terminate());

        Assert.Contains(exporter.Log, line => line.Contains("detaching from every interface", StringComparison.Ordinal));
        await successor.WaitForLogAsync("Counting by", "Uninstalled on request");
        Assert.Contains(successor.Log, line => line.Contains("Counting by", StringComparison.Ordinal));
        await successor.WaitForAttachedAsync(pod.Interface);
    }

    [Theory]
    [InlineData(200, """{"kind": "DaemonSet", "metadata": {"uid": "ds-1"}}""", false)]
    [InlineData(200, """{"kind": "DaemonSet", "metadata": {"uid": "ds-1", "deletionTimestamp": "2026-11-28T12:00:00Z", "finalizers": ["orphan"]}}""", false)]
    [InlineData(403, Forbidden, true)]
    [InlineData(401, "{}", true)]
    [InlineData(404, "404 page not found", true)]
    public async Task All_stays_pinned_where_the_DaemonSet_is_there_or_nobody_says(int status, string body, bool isCommandNamed)
    {
        Answer(status, body);
        using var pod = new Pod();
        using var exporter = await StartAsync();
        await exporter.WaitForAttachedAsync(pod.Interface);

        Assert.Equal(0, exporter.Terminate());

        Assert.True(Directory.Exists(_node.Pins));
        Assert.Equal(isCommandNamed, exporter.Log.Any(line => line.Contains("'podnet-exporter uninstall'", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task All_stays_pinned_where_the_API_server_does_not_answer()
    {
        using var exporter = await StartAsync();
        _server.IsSilent = true;
        _server.KillConnections();

        Assert.Equal(0, exporter.Terminate());

        _server.IsSilent = false;
        Assert.True(Directory.Exists(_node.Pins));
        Assert.Contains(exporter.Log, line => line.Contains("'podnet-exporter uninstall'", StringComparison.Ordinal));
    }

    /// <summary>As after kubectl delete --cascade=orphan.</summary>
    [Fact]
    public async Task A_pod_that_is_no_DaemonSets_any_more_asks_for_none_and_all_stays_pinned()
    {
        Answer(404, NotFound);
        using var exporter = await StartAsync();
        _server.Cluster.Modify("monitoring", "podnet-x", pod => pod with { Owners = [] });
        _server.Cluster.Add(new("shop", "later") { NodeName = KubernetesNode.Name });
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_pods"] == 2);

        Assert.Equal(0, exporter.Terminate());

        Assert.True(Directory.Exists(_node.Pins));
        Assert.DoesNotContain(_server.Requests, request => request.Path.Contains("daemonsets", StringComparison.Ordinal));
    }

    private void AddOwnPod(params PodOwner[] owners) => _server.Cluster.Add(
        new("monitoring", "podnet-x") { Uid = "pod-1", NodeName = KubernetesNode.Name, HostNetwork = true, Phase = "Running", Owners = owners });

    private async Task<ExporterProcess> StartAsync()
    {
        var exporter = await ExporterProcess.StartBehindAsync(
            ["env", "POD_UID=pod-1", ExporterProcess.Binary],
            [.. _node.Options, $"--Kubernetes:Kubeconfig={_server.Files.Kubeconfig}", $"--Kubernetes:NodeName={KubernetesNode.Name}"]);
        try
        {
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_pods"] >= 1 && samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 1);
            return exporter;
        }
        catch
        {
            exporter.Dispose();
            throw;
        }
    }

    private void Answer(int status, string body) => _server.Handle(
        request => request.Path == "/apis/apps/v1/namespaces/monitoring/daemonsets/podnet",
        context =>
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = "application/json";
            return context.Response.WriteAsync(body);
        },
        times: int.MaxValue);
}
