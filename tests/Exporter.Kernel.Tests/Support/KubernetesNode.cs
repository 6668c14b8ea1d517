using Exporter.Tests.Kubernetes;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The built binary on a node of a cluster whose API server is the test's.</summary>
internal sealed class KubernetesNode : IAsyncDisposable
{
    internal const string Name = "worker-1";

    private KubernetesNode(ApiServer server, ExporterProcess exporter) => (Server, Exporter) = (server, exporter);

    internal ApiServer Server { get; }

    internal Cluster Cluster => Server.Cluster;

    internal ExporterProcess Exporter { get; }

    internal static async Task<KubernetesNode> StartAsync(params string[] options) => await StartAsync(await ApiServer.CreateAsync(), options);

    /// <param name="server">Becomes the node's.</param>
    internal static async Task<KubernetesNode> StartAsync(ApiServer server, params string[] options)
    {
        try
        {
            return new(server, await ExporterProcess.StartAsync(
                [$"--Kubernetes:Kubeconfig={server.Files.Kubeconfig}", $"--Kubernetes:NodeName={Name}", .. options]));
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>A pod of the cluster, running at these addresses, that the node took up before it made any interface.</summary>
    internal void Run(string ns, string name, params string[] addresses)
    {
        Cluster.Add(new(ns, name) { NodeName = Name, StartTime = DateTimeOffset.UtcNow.AddMinutes(-1) });
        Cluster.SetStatus(ns, name, "Running", addresses);
    }

    public async ValueTask DisposeAsync()
    {
        Exporter.Dispose();
        await Server.DisposeAsync();
    }
}
