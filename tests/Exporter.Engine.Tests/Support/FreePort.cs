using System.Net;
using System.Net.Sockets;

namespace Exporter.Engine.Tests.Support;

/// <summary>Ports of the loopback interface for servers that are away now and then.</summary>
internal static class FreePort
{
    /// <summary>
    /// Takes one below those that the kernel gives to clients (ip_local_port_range): while its server is away, no client's end may get it, nor
    /// connect to itself.
    /// </summary>
    internal static int Take()
    {
        const int First = 12_000;
        const int End = 32_000;
        while (true)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                var port = Random.Shared.Next(First, End);
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // The next one.
            }
        }
    }
}
