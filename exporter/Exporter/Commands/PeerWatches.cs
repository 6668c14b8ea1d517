using Exporter.Health;
using Exporter.Kubernetes;
using Exporter.Metrics;
using Exporter.Peers;

namespace Exporter.Commands;

/// <summary>
/// Follows Services, their backends and nodes, for the names of the other ends of flows. Only the first interval waits for it, and not for long: without
/// them, peers have the class of their address. Each watch has a connection of its own, which is for one at a time.
/// </summary>
internal sealed class PeerWatches : IAsyncDisposable
{
    private readonly List<ApiConnection> _connections = [];
    private readonly List<BackgroundService> _watches = [];

    internal PeerWatches(KubernetesOptions options, PeerClasses classes, OwnMetrics own, LoopHealth health, TimeProvider time, ILoggerFactory logging)
    {
        var logger = logging.CreateLogger<PeerStore>();
        Store = new(classes, new(own.Factory), time, logger);
        Follow(ServiceDocument.Resource, PeerRole.Vip, static service => service.Describe());
        Follow(EndpointSliceDocument.Resource, PeerRole.Endpoint, static slice => slice.Describe());
        Follow(NodeDocument.Resource, PeerRole.Node, static node => node.Describe());

        void Follow<T>(Resource<T> resource, PeerRole role, Func<T, PeerFacts> describe)
            where T : KubernetesObject
        {
            var connection = new ApiConnection(options);
            _connections.Add(connection);
            _watches.Add(new ResourceWatch<T>(
                new(connection.SendAsync, connection.Server, resource), new PeerFeed<T>(Store, role, describe), null, new(own.Factory, resource.Name), health, new(), time, logger));
        }
    }

    internal PeerStore Store { get; }

    internal Task StartAsync() => Task.WhenAll(_watches.Select(watch => watch.StartAsync(CancellationToken.None)));

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_watches.Select(watch => watch.StopAsync(CancellationToken.None)));
        _watches.ForEach(watch => watch.Dispose());
        _connections.ForEach(connection => connection.Dispose());
        Store.Dispose();
    }
}
