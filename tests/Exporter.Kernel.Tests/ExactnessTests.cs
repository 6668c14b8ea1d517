using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals;
using Exporter.Signals.Traffic;

namespace Exporter.Kernel.Tests;

/// <summary>
/// What is counted equals what the kernel counted on the interface, to the packet and the byte, while the maps are drained every
/// 100 ms under full load.
/// </summary>
public sealed class ExactnessTests
{
    private const int UdpLength = 100;
    private const int EthernetHeader = 14;

    /// <summary>Of a veth as it is made.</summary>
    private const int Mtu = 1500;
    private const int Million = 1_000_000;

    public static TheoryData<string, string> HooksAndOffloads => new MatrixTheoryData<string, string>(
        ["tcx", "clsact"], ["", "host tso off gso off", "pod tso off gso off", "pod gro on"]);

    public static TheoryData<string> Hooks => ["tcx", "clsact"];

    [Theory]
    [MemberData(nameof(HooksAndOffloads))]
    public void Tcp_equals_the_interface(string hook, string offload)
    {
        using var counting = new Counting(hook);
        using var pod = new Pod();
        counting.Attach(pod);
        SetOffload(pod, offload);
        pod.Up();

        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1L << 29);
        TestTraffic.Tcp(pod, AddressFamily.InterNetworkV6, 1L << 29);

        var (counted, kernel) = counting.Settle(pod);
        AssertEqual(kernel, counted, largestPacket: ushort.MaxValue);
        var tcp = counted.Transmit.Transports[(int)Transport.Tcp];
        Assert.True(tcp.Bytes > 2L << 29, $"{tcp}");
        Assert.True(tcp.Segments > (2L << 29) / 1500, $"{tcp}");
        Assert.True(counting.Drains > 1);
        // Without offload a packet is a packet.
        if (offload.StartsWith("host tso off", StringComparison.Ordinal))
        {
            Assert.Equal(counted.Receive.Total.Packets, counted.Receive.Total.Segments);
        }
        else if (offload.StartsWith("pod tso off", StringComparison.Ordinal))
        {
            Assert.Equal(counted.Transmit.Total.Packets, counted.Transmit.Total.Segments);
        }
        else
        {
            Assert.True(counted.Transmit.Total.Segments > 2 * counted.Transmit.Total.Packets, $"{counted.Transmit.Total}");
        }
    }

    /// <summary>The kernel merges what the pod sent one by one before TC sees it: only the segments can still be told.</summary>
    [Theory]
    [MemberData(nameof(Hooks))]
    public void With_receive_offload_on_the_host_s_end_the_segments_are_the_interface_s_packets(string hook)
    {
        using var counting = new Counting(hook);
        using var pod = new Pod();
        counting.Attach(pod);
        SetOffload(pod, "host gro on");
        SetOffload(pod, "pod tso off gso off");
        pod.Up();

        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1L << 28);

        var (counted, kernel) = counting.Settle(pod);
        Assert.Equal(kernel.TransmittedPackets, counted.Transmit.Total.Segments);
        Assert.True(counted.Transmit.Total.Packets < kernel.TransmittedPackets, "nothing was merged");
    }

    /// <summary>What comes from another pod was made for that one's interface, and is cut for this one's.</summary>
    [Theory]
    [InlineData("gso_max_size 16384", AddressFamily.InterNetwork)]
    [InlineData("gso_max_size 16384", AddressFamily.InterNetworkV6)]
    [InlineData("gso_max_segs 8", AddressFamily.InterNetwork)]
    [InlineData("gso_max_segs 8", AddressFamily.InterNetworkV6)]
    public void Above_the_limits_of_the_interface_the_segments_are_its_packets(string limit, AddressFamily family)
    {
        using var forwarding = new Forwarding();
        using var counting = new Counting("tcx");
        using var from = new Pod();
        using var to = new Pod();
        counting.Attach(to);
        Shell.Ip($"link set {to.Interface} {limit}");
        from.Up();
        to.Up();

        TestTraffic.Tcp(from, to, family, 1L << 28);

        var (counted, kernel) = counting.Settle(to);
        AssertEqual(kernel, counted, largestPacket: ushort.MaxValue);
        // Of what is cut, a packet is a segment.
        Assert.True(counted.Receive.Total.Segments < 2 * counted.Receive.Total.Packets, $"{counted.Receive.Total}");
    }

    [Theory]
    [MemberData(nameof(Hooks))]
    public void A_million_datagrams_each_way_equal_the_interface(string hook)
    {
        using var counting = new Counting(hook);
        using var pod = new Pod();
        counting.Attach(pod);
        pod.Up();

        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Million, UdpLength, fromPod: true);
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Million, UdpLength, fromPod: false);
        TestTraffic.Udp(pod, AddressFamily.InterNetworkV6, Million / 10, UdpLength, fromPod: true);

        var (counted, kernel) = counting.Settle(pod);
        AssertEqual(kernel, counted);
        Assert.Equal((ulong)(Million + (Million / 10)), counted.Transmit.Transports[(int)Transport.Udp].Packets);
        Assert.Equal((ulong)Million, counted.Receive.Transports[(int)Transport.Udp].Packets);
        Assert.Equal(default, counting.ReadLoss(LossReason.MapFull));
    }

    [Theory]
    [MemberData(nameof(Hooks))]
    public void Icmp_equals_the_interface(string hook)
    {
        using var counting = new Counting(hook);
        using var pod = new Pod();
        counting.Attach(pod);
        pod.Up();

        Shell.Run("ping", "-q", "-f", "-c", "20000", pod.Address.ToString());
        pod.Namespace.Exec("ping", "-q", "-f", "-c", "20000", pod.HostAddress6.ToString());

        var (counted, kernel) = counting.Settle(pod);
        AssertEqual(kernel, counted);
        Assert.True(counted.Transmit.Transports[(int)Transport.Icmp].Packets >= 40_000);
        Assert.True(counted.Receive.Transports[(int)Transport.Icmp].Packets >= 40_000);
    }

    /// <summary>
    /// The kernel takes an inline tag out of a frame before TC ingress and after the interface has counted it; TC egress sees
    /// it in place.
    /// </summary>
    [Theory]
    [MemberData(nameof(Hooks))]
    public void Crafted_frames_with_tags_and_rare_protocols_equal_the_interface(string hook)
    {
        using var counting = new Counting(hook);
        using var pod = new Pod();
        counting.Attach(pod);
        pod.Up();
        var frames = CraftedFrames.All(pod);

        using (var fromPod = FrameSocket.Open(pod.Namespace, "eth0"))
        using (var fromHost = FrameSocket.Open(null, pod.Interface))
        {
            for (var round = 0; round < 1000; round++)
            {
                foreach (var frame in frames)
                {
                    fromPod.Send(frame);
                    fromHost.Send(frame);
                }
            }
        }

        var (counted, kernel) = counting.Settle(pod);
        AssertEqual(kernel, counted, largestPacket: ushort.MaxValue);
        Assert.True(counted.Transmit.Total.Packets >= (ulong)(1000 * frames.Count));
        Assert.Equal(1000ul, counted.Transmit.Transports[(int)Transport.Sctp].Packets);
        Assert.Equal(1000ul, counted.Receive.Transports[(int)Transport.Sctp].Packets);
    }

    [Theory]
    [MemberData(nameof(Hooks))]
    public void Random_bytes_as_frames_equal_the_interface(string hook)
    {
        using var counting = new Counting(hook);
        using var pod = new Pod();
        counting.Attach(pod);
        pod.Up();
        var random = new Random(20261);

        using (var fromPod = FrameSocket.Open(pod.Namespace, "eth0"))
        using (var fromHost = FrameSocket.Open(null, pod.Interface))
        {
            for (var i = 0; i < 20_000; i++)
            {
                var frame = new byte[random.Next(15, 1500)];
                random.NextBytes(frame);
                // Half of them claim to be IP, in which there is more to get wrong.
                if (i % 2 == 0)
                {
                    (frame[12], frame[13]) = i % 4 == 0 ? ((byte)0x08, (byte)0x00) : ((byte)0x86, (byte)0xdd);
                }
                fromPod.Send(frame);
                fromHost.Send(frame);
            }
        }

        var (counted, kernel) = counting.Settle(pod);
        AssertEqual(kernel, counted);
        Assert.True(counted.Transmit.Total.Packets >= 20_000);
    }

    /// <summary>Why there are two maps: what a program adds between the kernel's copy of a row and its deletion is gone.</summary>
    [Fact]
    public void Deleting_from_a_live_map_loses_packets()
    {
        using var programs = TrafficPrograms.Load(16);
        using var pod = new Pod();
        using var attachment = new TcxAttacher(programs.Pair).TryAttach(pod.Ifindex, TcDirection.Ingress);
        pod.Up();
        var reader = new HashReader<TrafficKey, TrafficValue>(programs.Traffic.Active);
        var counted = 0ul;
        void Drain()
        {
            foreach (var row in reader.ReadAndClear(programs.Traffic.Active))
            {
                counted += row.Value.Transmit.Total.Packets;
            }
        }

        // A race, lost for some packets of every hundred thousand.
        var isLost = false;
        for (var round = 0; round < 50 && !isLost; round++)
        {
            var stop = false;
            var drains = new Thread(() =>
            {
                while (!Volatile.Read(ref stop))
                {
                    Drain();
                }
            });
            drains.Start();
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 200_000, UdpLength, fromPod: true);
            Volatile.Write(ref stop, true);
            drains.Join();
            // What is in the map still is not lost.
            var sent = pod.ReadCounters().TransmittedPackets;
            Drain();
            isLost = counted < sent;
        }

        Assert.True(isLost, "nothing was lost");
    }

    private static void SetOffload(Pod pod, string offload)
    {
        var words = offload.Split(' ');
        switch (words[0])
        {
            case "host":
                Shell.Run("ethtool", ["-K", pod.Interface, .. words[1..]]);
                break;
            case "pod":
                pod.Namespace.Exec(["ethtool", "-K", "eth0", .. words[1..]]);
                break;
        }
    }

    /// <param name="largestPacket">That may have been dropped; more than the MTU where the kernel puts packets together.</param>
    private static void AssertEqual(InterfaceCounters kernel, in TrafficValue counted, int largestPacket = Mtu)
    {
        var (transmit, receive) = (counted.Transmit.Total, counted.Receive.Total);
        // What the interface dropped on its way in had passed TC, but is in none of its other counters.
        Assert.Equal(
            (kernel.TransmittedPackets, kernel.TransmittedBytes, kernel.ReceivedPackets + kernel.ReceiveDropped),
            (transmit.Packets, transmit.Bytes, receive.Packets));
        // A busy machine may drop any packet there, also one that the kernel sends on its own when an interface comes up.
        var largestFrame = (ulong)(EthernetHeader + largestPacket);
        Assert.InRange(receive.Bytes - kernel.ReceivedBytes, EthernetHeader * kernel.ReceiveDropped, largestFrame * kernel.ReceiveDropped);
        AssertSizesAddUp(counted.Transmit);
        AssertSizesAddUp(counted.Receive);
    }

    private static void AssertSizesAddUp(in TrafficDirection direction)
    {
        ulong segments = 0, bytes = 0;
        foreach (var size in direction.Sizes)
        {
            (segments, bytes) = (segments + size.Segments, bytes + size.Bytes);
        }
        Assert.Equal(direction.Total.Segments, segments);
        Assert.True(bytes >= direction.Total.Bytes);
    }
}
