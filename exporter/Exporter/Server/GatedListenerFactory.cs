using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Exporter.Server;

/// <summary>Gives Kestrel its connections through the gate.</summary>
internal sealed class GatedListenerFactory(ConnectionGate gate, ILoggerFactory loggers) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <summary>The length of the kernel's queue of connections before their acceptance (listen(2)). At a full queue a probe would have to send its SYN again.</summary>
    private const int Backlog = 4096;

    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint;

    /// <exception cref="AddressInUseException">Another process listens on the address. Kestrel adds the address to the message.</exception>
    /// <exception cref="IOException">The kernel refuses the address. The message names it.</exception>
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
