using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Exporter.Kernel.Tests.Support;

/// <summary>A TCP connection between a pod and the host or another pod, with both of its ends.</summary>
internal sealed class Connection : IDisposable
{
    private readonly Socket? _listener;

    private Connection(Socket client, Socket server, Socket? listener, bool isFromPod)
    {
        (Client, Server, _listener, IsFromPod) = (client, server, listener, isFromPod);
        (ClientEnd, ServerEnd) = ((IPEndPoint)client.LocalEndPoint!, (IPEndPoint)client.RemoteEndPoint!);
    }

    internal Socket Client { get; }

    internal Socket Server { get; }

    internal IPEndPoint ClientEnd { get; }

    internal IPEndPoint ServerEnd { get; }

    internal bool IsFromPod { get; }

    /// <summary>Between a pod and its host.</summary>
    /// <param name="port">Of the client; 0: any.</param>
    internal static Connection Open(Pod pod, AddressFamily family = AddressFamily.InterNetwork, bool fromPod = true, int port = 0)
    {
        var (own, host) = family == AddressFamily.InterNetwork ? (pod.Address, pod.HostAddress) : (pod.Address6, pod.HostAddress6);
        var listener = OpenSocket(fromPod ? null : pod, family);
        listener.Bind(new IPEndPoint(fromPod ? host : own, 0));
        listener.Listen();
        return Open(fromPod ? pod : null, new(fromPod ? own : host, port), listener, fromPod ? host : own, ownsListener: true);
    }

    /// <summary>From an address of a pod to a listener at an address of the host, or of another pod.</summary>
    internal static Connection Open(Pod? pod, IPEndPoint from, Socket listener, IPAddress to, bool ownsListener = false) =>
        Open(pod, from, listener, new IPEndPoint(to, listener.Port()), ownsListener);

    /// <summary>The same through an address that is translated to the listener's.</summary>
    internal static Connection Open(Pod? pod, IPEndPoint from, Socket listener, IPEndPoint to, bool ownsListener = false)
    {
        var client = OpenSocket(pod, from.AddressFamily);
        client.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        client.Bind(from);
        client.Connect(to);
        return new(client, listener.Accept(), ownsListener ? listener : null, pod is not null);
    }

    /// <summary>The server has it when this returns.</summary>
    internal void Send(int bytes) => Transfer(Client, Server, bytes);

    /// <summary>The client has it when this returns.</summary>
    internal void Answer(int bytes) => Transfer(Server, Client, bytes);

    public void Dispose()
    {
        Client.Dispose();
        Server.Dispose();
        _listener?.Dispose();
    }

    private static Socket OpenSocket(Pod? pod, AddressFamily family) =>
        pod?.OpenSocket(family, SocketType.Stream, ProtocolType.Tcp) ?? new(family, SocketType.Stream, ProtocolType.Tcp);

    private static void Transfer(Socket from, Socket to, int bytes)
    {
        var buffer = new byte[1 << 16];
        for (var (sent, received) = (0, 0); received < bytes;)
        {
            // No more at once than any socket takes without being read.
            sent += sent == received ? from.Send(buffer, 0, Math.Min(buffer.Length, bytes - sent), SocketFlags.None) : 0;
            received += to.Receive(buffer);
        }
    }
}

/// <summary>An address that the host drops all packets to, and says nothing (ip-route(8)).</summary>
internal sealed class Blackhole : IDisposable
{
    private readonly string _address;

    private Blackhole(string address)
    {
        _address = address;
        Shell.Ip($"route add blackhole {address}/32");
    }

    internal static Blackhole At(string address) => new(address);

    public void Dispose() => Shell.Ip($"route delete blackhole {_address}/32");
}

/// <summary>Segments that no socket sends.</summary>
internal static class TcpFrames
{
    /// <summary>In IPv4, to an Ethernet address that the receiver takes for another's, so that nothing answers.</summary>
    internal static byte[] Of(IPEndPoint source, IPEndPoint destination, byte flags)
    {
        var frame = Packet.Ethernet().Ipv4().Tcp().Bytes(10).ToArray();
        source.Address.TryWriteBytes(frame.AsSpan(26), out _);
        destination.Address.TryWriteBytes(frame.AsSpan(30), out _);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(34), (ushort)source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(36), (ushort)destination.Port);
        frame[47] = flags;
        return frame;
    }
}
