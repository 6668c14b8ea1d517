using System.Diagnostics;
using Exporter.Bpf;

namespace Exporter.Benchmarks;

/// <summary>Programs on made-up packets, and the programs that they are measured against.</summary>
internal static class TestRuns
{
    /// <summary>Baseline/baseline.bpf.c, loaded.</summary>
    internal static BpfObject LoadBaseline()
    {
        using var stream = typeof(TestRuns).Assembly.GetManifestResourceStream("baseline.bpf.o")!;
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        var baseline = BpfObject.Open("baseline", content);
        baseline.Load();
        return baseline;
    }

    /// <summary>The mean duration of a run in nanoseconds. The kernel's own figure is in whole ones, which are too few for a ratio.</summary>
    internal static double Measure(BpfProgram program, byte[] packet, int repeat)
    {
        var started = Stopwatch.GetTimestamp();
        program.TestRun(packet, default, repeat);
        return Stopwatch.GetElapsedTime(started).TotalNanoseconds / repeat;
    }
}
