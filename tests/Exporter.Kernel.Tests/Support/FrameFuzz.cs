using System.Diagnostics;
using System.Globalization;
using Exporter.Bpf;
using Exporter.Bpf.Native;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Random frames, each of which a check is made with. PODNET_FUZZ_SEED repeats a failed run.</summary>
internal static class FrameFuzz
{
    /// <summary>Makes the check until one of the limits is reached. Returns how often it was made.</summary>
    /// <param name="draw">Draws a frame for the run of this number, and what else the check takes, which a failure shows.</param>
    internal static int Run<T>(int runs, TimeSpan atMost, Func<Random, int, (byte[] Frame, T Case)> draw, Action<byte[], T> check)
    {
        var seed = FuzzSeed.Choose();
        var random = new Random(seed);
        var run = 0;
        for (var start = Stopwatch.GetTimestamp(); run < runs && Stopwatch.GetElapsedTime(start) < atMost; run++)
        {
            var (frame, drawn) = draw(random, run);
            try
            {
                check(frame, drawn);
            }
            catch (BpfException e) when (e.ErrorNumber == Errno.EINVAL && RandomFrames.IsRefused(frame))
            {
                // It never reached the program.
            }
            catch (Exception e)
            {
                Assert.Fail(string.Create(CultureInfo.InvariantCulture, $"{FuzzSeed.Variable}={seed}, run {run}, {Convert.ToHexString(frame)}, {drawn}: {e.Message}"));
            }
        }
        return run;
    }
}
