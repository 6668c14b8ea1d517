using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Exporter.Server;

/// <summary>Has Kestrel get its connections from the gate.</summary>
internal sealed class GatedListenerFactory(ConnectionGate gate, ILoggerFactory loggers) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <summary>The kernel's queue of connections that are not accepted yet (listen(2)): a probe behind a full one would wait for a second SYN.</summary>
    private const int Backlog = 4096;

    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint;

    /// <exception cref="AddressInUseException">Another process listens there: Kestrel names the address.</exception>
    /// <exception cref="IOException">The kernel does not let it listen there; the message names the address.</exception>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket? listener = null;
        try
        {
            listener = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
            listener.Listen(Backlog);
            var contexts = new SocketConnectionContextFactory(new(), loggers.CreateLogger<FrontDoor>());
            return new(new FrontDoor(listener, gate, contexts));
        }
        catch (SocketException e)
        {
            listener?.Dispose();
            throw e.SocketErrorCode == SocketError.AddressAlreadyInUse
                ? new AddressInUseException(e.Message, e)
                : new IOException($"Cannot listen on {endpoint}: {e.Message}", e);
        }
        catch
        {
            listener?.Dispose();
            throw;
        }
    }
}
