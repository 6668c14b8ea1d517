using System.Diagnostics;
using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Uplinks;

namespace Exporter.Benchmarks;

/// <summary>What a frame of an uplink pays.</summary>
internal static class UplinkPath
{
    private const int Loopback = 1;
    private const int Rounds = 21;
    private const int Datagrams = 200_000;

    /// <summary>Short slices: on a machine with other work a few of them are undisturbed. Together 5,000,000 runs.</summary>
    private const int Slices = 250;
    private const int Repeat = 20_000;

    /// <summary>The bars, in nanoseconds over an empty program.</summary>
    private const double MostOfTcp = 8;
    private const double MostOfOthers = 12;

    internal static void Run()
    {
        using var baseline = TestRuns.LoadBaseline();
        using var uplink = BpfObject.OpenEmbedded("uplink");
        uplink.Load();
        Programs(baseline, uplink);
        Throughput(baseline, uplink);
    }

    /// <summary>The least of many slices, in turn: what disturbs a measurement only ever adds to it.</summary>
    private static void Programs(BpfObject baseline, BpfObject uplink)
    {
        (string Name, byte[] Frame, double Most)[] frames =
        [
            ("TCP over IPv4", Packet.Ethernet().Ipv4().Tcp().Set(-7, 0x10).FillTo(1000).ToArray(), MostOfTcp),
            ("TCP over IPv4 with a VLAN tag", Packet.Ethernet().Vlan().Ipv4().Tcp().Set(-7, 0x10).FillTo(1000).ToArray(), MostOfOthers),
            ("TCP over IPv6", Packet.Ethernet().Ipv6().Tcp().Set(-7, 0x10).FillTo(1000).ToArray(), MostOfOthers),
            ("UDP over IPv4", Packet.Ethernet().Ipv4().Udp().FillTo(1000).ToArray(), MostOfOthers),
        ];
        (string Name, BpfProgram Program, BpfProgram Empty, bool ByXdp)[] programs =
        [
            ("XDP, frames in one part", uplink.Program("podnet_uplink_xdp"), baseline.Program("empty_xdp"), true),
            ("XDP, frames of several parts too", uplink.Program("podnet_uplink_frags"), baseline.Program("empty_xdp"), true),
            ("TC ingress", uplink.Program("podnet_uplink_in"), baseline.Program("empty"), false),
            ("TC egress", uplink.Program("podnet_uplink_out"), baseline.Program("empty"), false),
        ];
        Table.Begin("The frames of an uplink (BPF_PROG_TEST_RUN, 5,000,000 runs)");
        foreach (var (name, program, empty, byXdp) in programs)
        {
            Publish(uplink, Loopback, byXdp);
            foreach (var (frameName, frame, most) in frames)
            {
                var (least, leastOfEmpty) = (double.MaxValue, double.MaxValue);
                for (var slice = 0; slice < Slices; slice++)
                {
                    least = Math.Min(least, TestRuns.Measure(program, frame, Repeat));
                    leastOfEmpty = Math.Min(leastOfEmpty, TestRuns.Measure(empty, frame, Repeat));
                }
                Table.Row($"{name}: {frameName}, over an empty program", least - leastOfEmpty, " ns", byXdp ? most : MostOfOthers);
            }
        }
    }

    /// <summary>
    /// Datagrams through a veth pair as fast as one sender can, without XDP, with an empty program and with the uplink's, in turn: the driver has another way for
    /// packets with XDP, whatever the program does.
    /// </summary>
    private static void Throughput(BpfObject baseline, BpfObject uplink)
    {
        using var pod = new Pod().Up();
        var xdp = new XdpAttacher(pins: null, "");
        Publish(uplink, pod.Ifindex, byXdp: true);
        var (with, empty, without) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            without.Add(Rate(pod));
            using (xdp.TryAttach(baseline.Program("empty_xdp"), pod.Ifindex, isGeneric: false))
            {
                empty.Add(Rate(pod));
            }
            using (xdp.TryAttach(uplink.Program("podnet_uplink_frags"), pod.Ifindex, isGeneric: false))
            {
                with.Add(Rate(pod));
            }
        }
        Table.Row("datagrams through a veth pair without XDP", Table.Median(without), " /s");
        Table.Row("datagrams with an empty XDP program, against without", Table.Median(empty.Zip(without, (a, b) => a / b)), " times");
        Table.Row("datagrams with XDP, against without", Table.Median(with.Zip(without, (a, b) => a / b)), " times", least: 0.97);
        Table.Row("datagrams with XDP, against an empty program", Table.Median(with.Zip(empty, (a, b) => a / b)), " times");
    }

    private static void Publish(BpfObject uplink, int ifindex, bool byXdp)
    {
        UplinkSlots slots = default;
        (slots.Ifindex[0], slots.ByXdp[0]) = ((uint)ifindex, byXdp ? 1u : 0);
        new ArrayMap<UplinkSlots>(uplink.Map("uplink_slots")).Write(0, slots);
    }

    private static double Rate(Pod pod)
    {
        var started = Stopwatch.GetTimestamp();
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, Datagrams, 18, fromPod: true);
        return Datagrams / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
