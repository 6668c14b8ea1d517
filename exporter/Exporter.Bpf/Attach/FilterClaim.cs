using System.Net.Sockets;

namespace Exporter.Bpf.Attach;

/// <summary>
/// A bound socket that shows that the process which attached a filter lives: its name is in the abstract namespace of unix(7), which belongs to
/// the network namespace, as the filter does, and is free again when the process has ended, however.
/// </summary>
internal static class FilterClaim
{
    /// <summary>Binds the name.</summary>
    /// <returns>Null where a living process has it; also where no descriptor is left, since then it is not known.</returns>
    internal static Socket? TryBind(string name)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.Bind(new UnixDomainSocketEndPoint('\0' + name));
            return socket;
        }
        catch (SocketException)
        {
            socket?.Dispose();
            return null;
        }
    }

    /// <summary>Whether a living process has bound the name, or may have.</summary>
    internal static bool IsBound(string name)
    {
        using var socket = TryBind(name);
        return socket is null;
    }
}
