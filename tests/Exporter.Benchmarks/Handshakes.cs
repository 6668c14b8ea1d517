using System.Diagnostics;
using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Commands;
using Exporter.Kernel.Tests.Support;
using Exporter.Options;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Configuration;

namespace Exporter.Benchmarks;

/// <summary>What a handshake pays, and a connection that has none.</summary>
internal static class Handshakes
{
    private const int Rounds = 201;
    private const int Connections = 2_000;
    private const long Bytes = 1L << 31;

    internal static void Run()
    {
        using var pod = new Pod().Up();
        using var listener = pod.Listen(backlog: 1024);
        Programs(pod, listener);
        Rates(pod, listener);
    }

    /// <summary>With the kernel's own statistics, which cost each run some nanoseconds that they count in part.</summary>
    private static void Programs(Pod pod, Socket listener)
    {
        using var statistics = BpfStatistics.Enable();
        using var programs = Attach();
        var idle = Statistics(programs);
        Connect(pod, listener, Connections);
        var connected = Statistics(programs);
        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, Bytes);
        var transferred = Statistics(programs);

        Table.Begin($"Handshakes, seen by {programs.AttachType.ToString().ToLowerInvariant()}s (the kernel's BPF statistics)");
        for (var i = 0; i < programs.Programs.Count; i++)
        {
            var (runs, time) = (connected[i].Runs - idle[i].Runs, connected[i].RunTime - idle[i].RunTime);
            Table.Row($"{programs.Programs[i].Name}, runs for a connection, both sides, from connect to close", runs / (double)Connections, "");
            Table.Row($"{programs.Programs[i].Name}, time for a connection", time.TotalNanoseconds / Connections, " ns");
        }
        Table.Row("all of them, time for a connection", Sum(connected, idle).TotalNanoseconds / Connections, " ns", most: 1500);
        for (var i = 0; i < programs.Programs.Count; i++)
        {
            // The transfer's own connection begins and ends once, in four changes of state more than a reset makes; segments may be lost, and
            // are sent again then.
            var perConnection = Math.Ceiling((connected[i].Runs - idle[i].Runs) / (double)Connections) + 4;
            var runs = transferred[i].Runs - connected[i].Runs;
            var resends = programs.Programs[i].Name == "podnet_tp_syn";
            Table.Row(
                $"{programs.Programs[i].Name}, runs while {Bytes >> 30} GiB each way go through one connection, beyond {(resends ? "none" : "those of its beginning and end")}",
                Math.Max(0, runs - (resends ? 0 : perConnection)), "", most: resends ? null : 0);
        }
    }

    /// <summary>The best of many short rounds, in turn: what disturbs a measurement only ever slows it down.</summary>
    private static void Rates(Pod pod, Socket listener)
    {
        var (with, without) = (new List<double>(), new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            without.Add(Rate(pod, listener));
            using (Attach())
            {
                with.Add(Rate(pod, listener));
            }
        }
        Table.Begin("Connections through one veth pair");
        Table.Row("connect, accept and close without programs", without.Max(), " /s");
        Table.Row("connect, accept and close with programs, against without", with.Max() / without.Max(), " times", least: 0.97);
    }

    private static double Rate(Pod pod, Socket listener)
    {
        var started = Stopwatch.GetTimestamp();
        Connect(pod, listener, Connections);
        return Connections / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>One after the other, so that each waits for the other side, as most do.</summary>
    private static void Connect(Pod pod, Socket listener, int connections)
    {
        for (var i = 0; i < connections; i++)
        {
            using var client = TcpSockets.Open().WithReset();
            client.Connect(pod.Address, listener.Port());
            using var accepted = listener.Accept();
        }
    }

    private static HandshakePrograms Attach()
    {
        var options = ExporterOptions.Read(new OptionReader(new ConfigurationBuilder().Build())).Handshake;
        var programs = HandshakePrograms.Attach(HandshakeAttachType.Tracepoint, options.Buckets.ToArray(), maxNamespaces: 1024, options.MaxRetransmitting);
        programs.Activate();
        return programs;
    }

    private static List<ProgramStatistics> Statistics(HandshakePrograms programs) => [.. programs.Programs.Select(program => program.ReadStatistics())];

    private static TimeSpan Sum(List<ProgramStatistics> after, List<ProgramStatistics> before) =>
        after.Zip(before, (a, b) => a.RunTime - b.RunTime).Aggregate(TimeSpan.Zero, (sum, time) => sum + time);
}
