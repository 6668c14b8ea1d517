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
    /// <exception cref="SocketException">This machine has no IPv6, or none for the address. Kestrel listens on the IPv4 address then where either was meant.</exception>
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
            throw Explain(endpoint, e);
        }
        catch
        {
            listener?.Dispose();
            throw;
        }
    }

    /// <summary>The exception that Kestrel is given: of an address that is either family's, it takes any but an IOException for a machine without IPv6.</summary>
    internal static Exception Explain(EndPoint endpoint, SocketException e)
    {
        var reason = $"Cannot listen on {endpoint}: {e.Message}";
        return e.SocketErrorCode switch
        {
            SocketError.AddressAlreadyInUse => new AddressInUseException(e.Message, e),
            SocketError.AddressFamilyNotSupported or SocketError.AddressNotAvailable when IsOfEitherFamily(endpoint) => new SocketException((int)e.SocketErrorCode, reason),
            _ => new IOException(reason, e),
        };
    }

    private static bool IsOfEitherFamily(EndPoint endpoint) =>
        endpoint is IPEndPoint { Address: { } address } && (address.Equals(IPAddress.IPv6Any) || address.Equals(IPAddress.IPv6Loopback));
}
