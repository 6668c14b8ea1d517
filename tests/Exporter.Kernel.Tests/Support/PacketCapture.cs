using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// All frames that an interface of the host sends and receives, as packet(7) shows them: with their Ethernet header, and merged as the interface counts them.
/// </summary>
internal sealed class PacketCapture : IDisposable
{
    private const int ETH_P_ALL = 3;
    private const int SOL_PACKET = 263;
    private const int PACKET_STATISTICS = 6;
    private const int SO_RCVBUFFORCE = 33;
    private const int SOL_SOCKET = 1;
    private const int Buffer = 64 << 20;
    private const int Milliseconds = 1000;

    private readonly Socket _socket;
    private readonly Thread _thread;
    private readonly List<CapturedPacket> _packets = [];
    private volatile bool _stop;

    internal PacketCapture(string device)
    {
        _socket = new(AddressFamily.Packet, SocketType.Raw, 0);
        Span<byte> size = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(size, Buffer);
        _socket.SetRawSocketOption(SOL_SOCKET, SO_RCVBUFFORCE, size);
        _socket.Bind(new FrameSocket.LinkLayerEndPoint(FrameSocket.IfindexOf(device), ETH_P_ALL));
        _thread = new Thread(Receive);
        _thread.Start();
    }

    /// <summary>Those that have come so far.</summary>
    internal IReadOnlyList<CapturedPacket> Packets
    {
        get
        {
            lock (_packets)
            {
                return [.. _packets];
            }
        }
    }

    /// <summary>Ends it after the last packet that was sent before now.</summary>
    /// <exception cref="InvalidOperationException">The kernel had no room for some.</exception>
    internal IReadOnlyList<CapturedPacket> Stop()
    {
        _stop = true;
        _thread.Join();
        // struct tpacket_stats: packets, drops.
        Span<byte> statistics = stackalloc byte[2 * sizeof(uint)];
        _socket.GetRawSocketOption(SOL_PACKET, PACKET_STATISTICS, statistics);
        var drops = BinaryPrimitives.ReadUInt32LittleEndian(statistics[sizeof(uint)..]);
        return drops == 0 ? Packets : throw new InvalidOperationException($"The capture has missed {drops} packets.");
    }

    public void Dispose()
    {
        _stop = true;
        _thread.Join();
        _socket.Dispose();
    }

    private void Receive()
    {
        var frame = new byte[1 << 17];
        while (true)
        {
            var stops = _stop;
            if (!_socket.Poll(10 * Milliseconds, SelectMode.SelectRead))
            {
                if (stops)
                {
                    return;
                }
                continue;
            }
            var length = _socket.Receive(frame);
            if (CapturedPacket.TryParse(frame.AsSpan(0, length)) is { } packet)
            {
                lock (_packets)
                {
                    _packets.Add(packet);
                }
            }
        }
    }
}

/// <summary>A packet of TCP or UDP without options of IP.</summary>
/// <param name="Flags">TCP's; 0 for UDP.</param>
internal sealed record CapturedPacket(string Transport, IPEndPoint From, IPEndPoint To, int Length, int Flags)
{
    private const int Ethernet = 14;

    internal bool Has(int flag) => (Flags & flag) != 0;

    internal static CapturedPacket? TryParse(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < Ethernet + 20 || BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) is not (0x0800 or 0x86dd))
        {
            return null;
        }
        var ip = frame[Ethernet..];
        var (protocol, source, length, header) = ip[0] >> 4 == 4 ? (ip[9], 12, 4, 20) : (ip[6], 8, 16, 40);
        if (protocol is not (6 or 17) || ip.Length < header + 8)
        {
            return null;
        }
        var transport = ip[header..];
        return new(
            protocol == 6 ? "tcp" : "udp",
            new(new IPAddress(ip.Slice(source, length)), BinaryPrimitives.ReadUInt16BigEndian(transport)),
            new(new IPAddress(ip.Slice(source + length, length)), BinaryPrimitives.ReadUInt16BigEndian(transport[2..])),
            frame.Length,
            protocol == 6 ? transport[13] : 0);
    }
}
