using System.Net.Sockets;
using Exporter.Bpf.Contract;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>What is counted equals what the kernel counted on the interface, to the packet and the byte, while it is drained.</summary>
public sealed class ExactnessTests
{
    public static TheoryData<string, string> HooksAndOffloads => new MatrixTheoryData<string, string>(
        ["tcx", "clsact"], ["", "host tso off gso off", "pod tso off gso off", "pod gro on"]);

    [Theory]
    [MemberData(nameof(HooksAndOffloads))]
    public void Tcp_equals_the_interface(string hook, string offload)
    {
        using var counting = new Counting(hook);
        using var pod = Attach(counting, offload);

        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1L << 29);
        TestTraffic.Tcp(pod, AddressFamily.InterNetworkV6, 1L << 29);

        var (counted, kernel) = counting.Settle(pod);
        AssertEqual(kernel, counted);
        var tcp = counted.Transmit.Transports[(int)Transport.Tcp];
        Assert.True(tcp.Bytes > 2 << 29, $"TCP is {tcp}");
        Assert.True(counting.Drains > 1);
    }

    private static Pod Attach(Counting counting, string offload = "")
    {
        var pod = new Pod();
        counting.Attach(pod);
        if (offload.Length > 0)
        {
            var words = offload.Split(' ');
            string[] command = ["ethtool", "-K", words[0] == "pod" ? "eth0" : pod.Interface, .. words[1..]];
            if (words[0] == "pod")
            {
                pod.Namespace.Exec(command);
            }
            else
            {
                Shell.Run(command[0], command[1..]);
            }
        }
        return pod.Up();
    }

    private static void AssertEqual(InterfaceCounters kernel, in TrafficValue counted)
    {
        var (transmit, receive) = (counted.Transmit.Total, counted.Receive.Total);
        Assert.Equal(
            (kernel.TransmittedPackets, kernel.TransmittedBytes, kernel.ReceivedPackets, kernel.ReceivedBytes),
            (transmit.Packets, transmit.Bytes, receive.Packets, receive.Bytes));
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
