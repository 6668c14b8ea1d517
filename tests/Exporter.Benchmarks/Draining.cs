using System.Buffers.Binary;
using System.Diagnostics;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>What a drain takes, and what it allocates.</summary>
internal static class Draining
{
    private const int Interfaces = 1000;
    private const int Rounds = 20;

    internal static void Run()
    {
        using var veths = new Veths(Interfaces);
        using var programs = TrafficPrograms.Load(1024);
        var ifindexes = veths.Ifindexes.ToArray();
        var (full, empty, allocated) = (new List<double>(), new List<double>(), 0L);
        for (var round = 0; round < Rounds; round++)
        {
            Fill(programs, ifindexes);
            var before = GC.GetAllocatedBytesForCurrentThread();
            full.Add(Drain(programs, expected: Interfaces));
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            // The other map of the pair is empty: what this takes is the grace period.
            empty.Add(Drain(programs, expected: 0));
        }

        Table.Begin($"Draining {Interfaces} interfaces in 2 directions with 3 transports");
        Table.Row("the grace period alone (an empty drain)", Table.Median(empty), " ms");
        Table.Row("a drain beyond the grace period", Table.Median(full) - Table.Median(empty), " ms", most: 20);
        Table.Row("allocated by a drain", allocated, " bytes", most: 0);
    }

    private static double Drain(TrafficPrograms programs, int expected)
    {
        var started = Stopwatch.GetTimestamp();
        var rows = programs.Traffic.Drain().Length;
        var elapsed = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return rows == expected ? elapsed : throw new InvalidOperationException($"{rows} rows instead of {expected}");
    }

    /// <summary>Runs both programs on a packet of each transport for every interface.</summary>
    private static void Fill(TrafficPrograms programs, int[] ifindexes)
    {
        // struct __sk_buff (linux/bpf.h): ifindex is its eleventh word.
        var context = new byte[192];
        var packet = new byte[60];
        (packet[12], packet[13], packet[14]) = (0x08, 0x00, 0x45);
        foreach (var ifindex in ifindexes)
        {
            BinaryPrimitives.WriteInt32LittleEndian(context.AsSpan(40), ifindex);
            foreach (var protocol in (ReadOnlySpan<byte>)[6, 17, 1])
            {
                packet[23] = protocol;
                programs.Transmit.TestRun(packet, context);
                programs.Receive.TestRun(packet, context);
            }
        }
    }
}
