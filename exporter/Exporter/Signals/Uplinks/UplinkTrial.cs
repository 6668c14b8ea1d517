using Exporter.Bpf;
using Exporter.Bpf.Native;

namespace Exporter.Signals.Uplinks;

/// <summary>Whether a program can be trusted with frames: run on made-up ones, which no interface has.</summary>
internal static class UplinkTrial
{
    /// <summary>XDP_PASS.</summary>
    internal const int XdpPass = 2;

    /// <summary>TCX_NEXT, which is TC_ACT_UNSPEC.</summary>
    internal const int TcNext = -1;

    /// <summary>Nothing after the Ethernet header, ARP, tags without an end, and IPv4 and IPv6 with nothing but zeros in them.</summary>
    private static readonly byte[][] Frames = [Frame(14, 0), Frame(60, 0x0806), Frame(60, 0x8100), Frame(64, 0x0800), Frame(64, 0x86dd), Frame(1500, 0x0800)];

    /// <exception cref="BpfException">It does not let a frame pass.</exception>
    internal static void Run(BpfProgram program, int verdict)
    {
        foreach (var frame in Frames)
        {
            var (result, _) = program.TestRun(frame);
            if (result != verdict)
            {
                throw new BpfException($"use the program {program.Name}: it returns {result} for a frame of {frame.Length} bytes, where only {verdict} lets it pass", Errno.EINVAL);
            }
        }
    }

    private static byte[] Frame(int length, int etherType)
    {
        var frame = new byte[length];
        (frame[12], frame[13]) = ((byte)(etherType >> 8), (byte)etherType);
        return frame;
    }
}
