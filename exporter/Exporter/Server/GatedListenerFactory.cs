using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Exporter.Server;

/// <summary>Has Kestrel get its connections from the gate.</summary>
internal sealed class GatedListenerFactory(ConnectionGate gate, ILoggerFactory loggers) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <summary>The kernel's queue of connections that are not accepted yet (listen(2)): a probe behind a full one would wait for a second SYN.</summary>
    private const int Backlog = 4096;

    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var listener = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        try
        {
            listener.Listen(Backlog);
            var contexts = new SocketConnectionContextFactory(new(), loggers.CreateLogger<FrontDoor>());
            return new(new FrontDoor(listener, gate, contexts));
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }
}
