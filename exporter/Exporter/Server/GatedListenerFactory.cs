using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Exporter.Server;

/// <summary>
/// Kestrel's sockets behind the gate. Kestrel starts middleware on the thread pool and accepts on meanwhile; here accepting itself waits until
/// there is room, and the rest stays in the kernel's queue.
/// </summary>
internal sealed class GatedListenerFactory(SocketTransportFactory sockets, ConnectionGate gate) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <summary>The kernel's queue of connections that are not accepted yet (listen(2)): a probe behind a full one would wait for a second SYN.</summary>
    internal const int Backlog = 4096;

    public bool CanBind(EndPoint endpoint) => sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Listener(await sockets.BindAsync(endpoint, cancellationToken), gate);

    private sealed class Listener(IConnectionListener listener, ConnectionGate gate) : IConnectionListener
    {
        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (await listener.AcceptAsync(cancellationToken) is { } connection)
            {
                if (await gate.AdmitAsync(connection, cancellationToken))
                {
                    return connection;
                }
            }
            return null;
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => listener.UnbindAsync(cancellationToken);

        public ValueTask DisposeAsync() => listener.DisposeAsync();
    }
}
