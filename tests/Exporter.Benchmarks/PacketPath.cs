using System.Diagnostics;
using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>What a packet pays.</summary>
internal static class PacketPath
{
    private const int Rounds = 31;

    /// <summary>Short slices: on a machine with other work a few of them are undisturbed.</summary>
    private const int Slices = 1000;
    private const int Repeat = 20_000;

    /// <summary>The bar for TCP over IPv4: the greater of this many times the bare increment, and of so many nanoseconds more.</summary>
    private const double MostTimes = 1.25;
    private const double MostMore = 2.0;

    /// <summary>What UDP over IPv6 may take more, as a part of the bare increment.</summary>
    private const double MoreOfIpv6 = 0.1;

    internal static void Run()
    {
        Programs();
        Throughput();
    }

    /// <summary>The least of many slices, in turn: what disturbs a measurement only ever adds to it.</summary>
    private static void Programs()
    {
        using var baseline = TestRuns.LoadBaseline();
        using var programs = TrafficPrograms.Load(1024);
        var (tcp, udp6) = (TcpPacket(), Udp6Packet());
        (string Name, BpfProgram Program, byte[] Packet)[] runs =
        [
            ("an empty program", baseline.Program("empty"), tcp),
            ("a bare per-CPU hash increment", baseline.Program("bare_increment"), tcp),
            ("podnet_transmit, TCP over IPv4, 54 bytes", programs.Transmit, tcp),
            ("podnet_receive, TCP over IPv4, 54 bytes", programs.Receive, tcp),
            ("podnet_receive, UDP over IPv6, 62 bytes", programs.Receive, udp6),
        ];
        var least = new double[runs.Length];
        Array.Fill(least, double.MaxValue);
        for (var slice = 0; slice < Slices; slice++)
        {
            for (var i = 0; i < runs.Length; i++)
            {
                least[i] = Math.Min(least[i], TestRuns.Measure(runs[i].Program, runs[i].Packet, Repeat));
            }
        }

        Table.Begin("The packet path (BPF_PROG_TEST_RUN)");
        Table.Row(runs[0].Name, least[0], " ns");
        var bare = least[1] - least[0];
        Table.Row($"{runs[1].Name}, over the empty program", bare, " ns");
        for (var i = 2; i < runs.Length; i++)
        {
            var most = Math.Max(MostTimes * bare, bare + MostMore) + (runs[i].Packet == tcp ? 0 : MoreOfIpv6 * bare);
            Table.Row($"{runs[i].Name}, over the empty program", least[i] - least[0], " ns", most);
            Table.Row($"{runs[i].Name}, against the bare increment", (least[i] - least[0]) / bare, " times");
        }
        foreach (var program in (BpfProgram[])[runs[1].Program, programs.Transmit, programs.Receive])
        {
            Table.Row($"{program.Name}, instructions with all its functions", program.Instructions, "");
            Table.Row($"{program.Name}, native code", program.NativeBytes, " bytes");
        }
    }

    /// <summary>Datagrams from a pod to the host as fast as one sender can, with and without the programs in turn.</summary>
    private static void Throughput()
    {
        Table.Begin("Datagrams through one veth pair");
        using var plain = TrafficPrograms.Load(1024);
        using var flows = FlowPrograms.Load(new(IsOn: true, TimeSpan.FromSeconds(10), MaxFlows: 32768, MaxFlowsPerPod: 100, Sampling: 1), maxInterfaces: 1024);
        foreach (var (name, tc, least) in ((string, TcAttacher, double)[])
        [
            ("tcx", new TcxAttacher(plain.Pair), 0.95),
            ("clsact", new ClsactAttacher(plain.Pair, 10), 0.95),
            ("tcx and flows", new TcxAttacher(flows.Pair), 0.93),
        ])
        {
            using var pod = new Pod().Up();
            var (with, without) = (new List<double>(), new List<double>());
            for (var round = 0; round < Rounds; round++)
            {
                without.Add(Rate(pod));
                using (tc.AttachBoth(pod.Ifindex))
                {
                    with.Add(Rate(pod));
                }
            }
            Table.Row($"datagrams without programs, before {name}", Table.Median(without), " /s");
            Table.Row($"datagrams with {name}, against without", Table.Median(with.Zip(without, (a, b) => a / b)), " times", least: least);
        }
    }

    private static double Rate(Pod pod)
    {
        const int Datagrams = 200_000, Length = 18;
        var started = Stopwatch.GetTimestamp();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Datagrams, Length, fromPod: true);
        return Datagrams / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    internal static byte[] TcpPacket()
    {
        var packet = new byte[54];
        (packet[12], packet[13], packet[14], packet[23], packet[46]) = (0x08, 0x00, 0x45, 6, 0x50);
        packet[17] = 40;
        return packet;
    }

    private static byte[] Udp6Packet()
    {
        var packet = new byte[62];
        (packet[12], packet[13], packet[14], packet[20]) = (0x86, 0xdd, 0x60, 17);
        packet[19] = 8;
        return packet;
    }
}
