using System.Net;
using System.Net.Sockets;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Real traffic between the host and a pod.</summary>
internal static class TestTraffic
{
    /// <summary>Sends so many bytes over a new TCP connection, in both directions one after the other.</summary>
    internal static void Tcp(Pod pod, AddressFamily family, long bytes)
    {
        var address = family == AddressFamily.InterNetwork ? pod.Address : pod.Address6;
        using var listener = pod.OpenSocket(family, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(address, 0));
        listener.Listen();
        using var client = new Socket(family, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndPoint!);
        using var server = listener.Accept();
        Transfer(client, server, bytes);
        Transfer(server, client, bytes);
    }

    /// <summary>Sends so many bytes from one pod to another, over a connection that the host forwards.</summary>
    internal static void Tcp(Pod from, Pod to, AddressFamily family, long bytes)
    {
        using var listener = to.OpenSocket(family, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(family == AddressFamily.InterNetwork ? to.Address : to.Address6, 0));
        listener.Listen();
        using var client = from.OpenSocket(family, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndPoint!);
        using var server = listener.Accept();
        Transfer(client, server, bytes);
    }

    /// <summary>Sends so many datagrams of so many bytes, as fast as it goes; the receiver need not keep up.</summary>
    internal static void Udp(Pod pod, AddressFamily family, int datagrams, int length, bool fromPod)
    {
        var any = family == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any;
        using var inPod = pod.OpenSocket(family, SocketType.Dgram, ProtocolType.Udp);
        using var onHost = new Socket(family, SocketType.Dgram, ProtocolType.Udp);
        inPod.Bind(new IPEndPoint(any, 0));
        onHost.Bind(new IPEndPoint(any, 0));
        var (sender, receiver) = fromPod ? (inPod, onHost) : (onHost, inPod);
        var address = (family == AddressFamily.InterNetwork, fromPod) switch
        {
            (true, true) => pod.HostAddress,
            (true, false) => pod.Address,
            (false, true) => pod.HostAddress6,
            (false, false) => pod.Address6,
        };
        sender.Connect(new IPEndPoint(address, ((IPEndPoint)receiver.LocalEndPoint!).Port));
        var datagram = new byte[length];
        for (var i = 0; i < datagrams; i++)
        {
            sender.Send(datagram);
        }
    }

    private static void Transfer(Socket from, Socket to, long bytes)
    {
        var reader = new Thread(() =>
        {
            var buffer = new byte[1 << 18];
            for (var left = bytes; left > 0;)
            {
                left -= to.Receive(buffer);
            }
        });
        reader.Start();
        var chunk = new byte[1 << 18];
        for (var left = bytes; left > 0;)
        {
            left -= from.Send(chunk, 0, (int)Math.Min(left, chunk.Length), SocketFlags.None);
        }
        reader.Join();
    }
}
