using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>What a packet pays with flows on.</summary>
internal static class FlowPath
{
    private const int Slices = 500;
    private const int Repeat = 20_000;

    /// <summary>The bar: this many times the bare look-ups and additions.</summary>
    private const double MostTimes = 1.5;

    internal static void Run()
    {
        using var baseline = TestRuns.LoadBaseline();
        using var plain = TrafficPrograms.Load(1024);
        using var flows = FlowPrograms.Load(new(IsOn: true, TimeSpan.FromSeconds(10), MaxFlows: 32768, MaxFlowsPerPod: 100, Sampling: 1), maxInterfaces: 1024);
        using var driven = baseline.Map("driven");
        var drive = baseline.Program("drive");
        (string Name, BpfProgram Program)[] programs =
        [
            ("an empty program", baseline.Program("empty")),
            ("a bare flow", baseline.Program("bare_flow")),
            ("podnet_transmit with flows", flows.Transmit),
            ("podnet_receive with flows", flows.Receive),
            ("podnet_transmit without flows", plain.Transmit),
        ];
        // By program: of one flow, and of many.
        var (one, many) = (new double[programs.Length], new double[programs.Length]);
        Array.Fill(one, double.MaxValue);
        Array.Fill(many, double.MaxValue);
        for (var i = 0; i < programs.Length; i++)
        {
            Shell.Run("bpftool", [.. $"map update id {driven.Id} key {i} 0 0 0 value id {programs[i].Program.Id}".Split(' ')]);
        }
        for (var slice = 0; slice < Slices; slice++)
        {
            for (var i = 0; i < programs.Length; i++)
            {
                var packet = PacketPath.TcpPacket();
                packet[37] = (byte)i;
                one[i] = Math.Min(one[i], TestRuns.Measure(programs[i].Program, packet, Repeat));
                many[i] = Math.Min(many[i], TestRuns.Measure(drive, packet, Repeat));
            }
        }
        Table.Begin("The packet path with flows (BPF_PROG_TEST_RUN)");
        Table.Row(programs[0].Name, one[0], " ns");
        for (var i = 1; i < programs.Length; i++)
        {
            foreach (var (flow, measured) in ((string, double[])[])[("one flow", one), ("10,000 flows", many)])
            {
                double? most = i is 2 or 3 ? MostTimes * (measured[1] - measured[0]) : null;
                Table.Row($"{programs[i].Name}, {flow}, over the empty program", measured[i] - measured[0], " ns", most);
            }
        }
    }
}
