using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Exporter.Kernel.Tests.Support;

/// <summary>TCP's options that .NET has no name for, and what a socket itself says of its handshake.</summary>
internal static class TcpSockets
{
    private const int IPPROTO_IP = 0;
    private const int IP_TRANSPARENT = 19;
    private const int IPPROTO_TCP = 6;
    private const int TCP_SYNCNT = 7;
    private const int TCP_INFO = 11;
    private const int TCP_REPAIR = 19;
    private const int TCP_FASTOPEN = 23;
    private const int TCP_FASTOPEN_CONNECT = 30;

    /// <summary>struct tcp_info (linux/tcp.h): tcpi_rtt.</summary>
    private const int RttOffset = 68;

    /// <summary>tcpi_total_retrans.</summary>
    private const int RetransmitsOffset = 100;

    /// <summary>The kernel's estimate of the round trip in microseconds: after a handshake, how long that took.</summary>
    internal static uint RoundTrip(this Socket socket) => socket.ReadInfo(RttOffset);

    /// <summary>How many segments it has sent again in its life.</summary>
    internal static uint Retransmits(this Socket socket) => socket.ReadInfo(RetransmitsOffset);

    /// <summary>How often the SYN is sent again before the connection times out.</summary>
    internal static Socket WithSynRetries(this Socket socket, int retries) => socket.With(TCP_SYNCNT, retries);

    /// <summary>The listener takes data with the SYN.</summary>
    internal static Socket WithFastOpen(this Socket socket) => socket.With(TCP_FASTOPEN, 16);

    /// <summary>connect() returns at once where the other end's cookie is known, and the SYN goes with the first data.</summary>
    internal static Socket WithFastOpenConnect(this Socket socket) => socket.With(TCP_FASTOPEN_CONNECT, 1);

    /// <summary>The socket may have addresses that are not its host's.</summary>
    internal static Socket Transparent(this Socket socket)
    {
        Span<byte> on = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(on, 1);
        socket.SetRawSocketOption(IPPROTO_IP, IP_TRANSPARENT, on);
        return socket;
    }

    /// <summary>Closing resets the connection, so that its port can be used again at once.</summary>
    internal static Socket WithReset(this Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        return socket;
    }

    /// <summary>Closes the connection, whose other end hears nothing of it: its port can be used again at once.</summary>
    internal static void CloseSilently(this Socket socket)
    {
        socket.With(TCP_REPAIR, 1);
        socket.Dispose();
    }

    /// <summary>A listener of the pod's, or of the host's, on any free port of any address of the family.</summary>
    internal static Socket Listen(this Pod? pod, AddressFamily family = AddressFamily.InterNetwork, int backlog = 128)
    {
        var listener = Open(pod, family);
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Bind(new IPEndPoint(family == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0));
        listener.Listen(backlog);
        return listener;
    }

    /// <summary>Begins to connect, and does not wait for an answer.</summary>
    internal static void Begin(this Socket socket, EndPoint to)
    {
        socket.Blocking = false;
        try
        {
            socket.Connect(to);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
        }
    }

    internal static int Port(this Socket socket) => ((IPEndPoint)socket.LocalEndPoint!).Port;

    /// <summary>A TCP socket of the host's, or of the pod's; IPv6 ones take IPv4 as well.</summary>
    internal static Socket Open(Pod? pod = null, AddressFamily family = AddressFamily.InterNetwork)
    {
        var socket = pod?.OpenSocket(family, SocketType.Stream, ProtocolType.Tcp) ?? new Socket(family, SocketType.Stream, ProtocolType.Tcp);
        if (family == AddressFamily.InterNetworkV6)
        {
            socket.DualMode = true;
        }
        return socket;
    }

    private static uint ReadInfo(this Socket socket, int offset)
    {
        Span<byte> info = stackalloc byte[offset + sizeof(uint)];
        socket.GetRawSocketOption(IPPROTO_TCP, TCP_INFO, info);
        return BinaryPrimitives.ReadUInt32LittleEndian(info[offset..]);
    }

    private static Socket With(this Socket socket, int option, int value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        socket.SetRawSocketOption(IPPROTO_TCP, option, bytes);
        return socket;
    }
}
