using System.Buffers.Binary;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Traffic;

namespace Exporter.Kernel.Tests;

/// <summary>
/// Random packets: whatever they are, both programs return -1 and count them exactly once, under the transport that an
/// independent parser finds. PODNET_FUZZ_SEED repeats a failed run.
/// </summary>
public sealed class ProgramFuzzTests : IDisposable
{
    private const int Runs = 70_000;
    private const int Loopback = 1;

    private static readonly TimeSpan AtMost = TimeSpan.FromSeconds(10);

    private readonly ProgramRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void Random_bytes_are_counted_once() => Fuzz(RandomFrames.Bytes);

    [Fact]
    public void Random_chains_of_headers_are_counted_once() => Fuzz(RandomFrames.Headers);

    [Fact]
    public void Mutated_packets_are_counted_once() => Fuzz(RandomFrames.Mutated);

    private static SkbContext RandomContext(Random random) => random.Next(3) switch
    {
        0 => new(Loopback, random.Next(1, 65_536), random.Next(65_536)),
        1 => new(Loopback, random.Next(1, 1500), random.Next(5)),
        _ => new(Loopback),
    };

    private void Fuzz(Func<Random, byte[]> next)
    {
        var seen = new int[Enum.GetValues<Transport>().Length];
        var run = FrameFuzz.Run(Runs, AtMost, (random, _) => (next(random), new PacketRun(Context: RandomContext(random), IsTransmit: random.Next(2) == 0)), (packet, drawn) =>
        {
            var (transmit, context) = drawn;
            var (transport, headers) = ReferenceParser.Parse(packet);
            var value = _runs.Run(transmit, packet, context);
            if (context.GsoSize == 0)
            {
                ProgramRuns.AssertOnePacket(value, transmit, packet, transport);
            }
            else
            {
                ProgramRuns.AssertConsistent(value, transmit, packet, context, headers);
                Assert.Equal(1ul, (transmit ? value.Transmit : value.Receive).Transports[(int)transport].Packets);
            }
            seen[(int)transport]++;
        });
        Assert.DoesNotContain(seen, count => count < run / 1000);
    }
}

/// <summary>Finds a frame's transport as the standards describe it, in plain C#, one header after the other.</summary>
internal static class ReferenceParser
{
    /// <summary>Two tags: IEEE 802.1ad's service tag and the customer's behind it.</summary>
    private const int MostTags = 2;

    /// <summary>RFC 8200 section 4.1 recommends seven at most; the programs have to stop somewhere.</summary>
    private const int MostExtensions = 8;

    /// <summary>The transport, and the bytes in front of its payload: 0 where it is not known, null where the packet contradicts itself or is a later fragment.</summary>
    internal static (Transport Transport, int? Headers) Parse(ReadOnlySpan<byte> frame)
    {
        var (_, protocol, start) = HeadersOf(frame);
        var transport = protocol switch
        {
            1 or 58 => Transport.Icmp,
            6 => Transport.Tcp,
            17 => Transport.Udp,
            132 => Transport.Sctp,
            _ => Transport.Other,
        };
        if (start is not { } at)
        {
            // Nobody offloads a later fragment; where it claims to be offloaded, its payload may pass for headers.
            return (transport, protocol is null ? 0 : null);
        }
        int? headers = transport switch
        {
            // RFC 9293 section 3.1: the data offset is at least five words.
            Transport.Tcp => frame.Length < at + 20 ? 0 : frame[at + 12] >> 4 is >= 5 and var words ? at + (words * 4) : null,
            Transport.Udp => at + 8,
            Transport.Sctp => at + 12,
            _ => 0,
        };
        return (transport, headers >= frame.Length ? 0 : headers);
    }

    /// <summary>Where IP's header starts, the number of the protocol above it, and where its header starts; null where it is not in this packet.</summary>
    internal static (int Network, int? Protocol, int? Start) HeadersOf(ReadOnlySpan<byte> frame)
    {
        var at = 14;
        var type = Word(frame, 12);
        for (var tags = 0; tags < MostTags && type is (0x8100 or 0x88a8); tags++)
        {
            type = Word(frame, at + 2);
            at += 4;
        }
        var (protocol, start) = type switch
        {
            0x0800 => Ipv4(frame, at),
            0x86dd => Ipv6(frame, at),
            _ => (null, null),
        };
        return (at, protocol, start);
    }

    /// <summary>RFC 791 section 3.1.</summary>
    private static (int? Protocol, int? Start) Ipv4(ReadOnlySpan<byte> frame, int at)
    {
        if (frame.Length < at + 20 || frame[at] >> 4 != 4)
        {
            return (null, null);
        }
        var length = (frame[at] & 15) * 4;
        if (length < 20)
        {
            return (null, null);
        }
        var isLaterFragment = Word(frame, at + 6) % 8192 != 0;
        return (frame[at + 9], isLaterFragment ? null : at + length);
    }

    /// <summary>RFC 8200 sections 3 and 4.</summary>
    private static (int? Protocol, int? Start) Ipv6(ReadOnlySpan<byte> frame, int at)
    {
        if (frame.Length < at + 40 || frame[at] >> 4 != 6)
        {
            return (null, null);
        }
        int next = frame[at + 6];
        at += 40;
        for (var extensions = 0; extensions < MostExtensions && next is (0 or 43 or 44 or 51 or 60); extensions++)
        {
            if (frame.Length < at + 4)
            {
                return (null, null);
            }
            var current = next;
            next = frame[at];
            switch (current)
            {
                case 44 when Word(frame, at + 2) / 8 != 0:
                    return (next, null);
                case 44:
                    at += 8;
                    break;
                case 51:
                    // RFC 4302 section 2.2: in 32-bit words, minus two.
                    at += (frame[at + 1] * 4) + 8;
                    break;
                default:
                    // In units of eight bytes, without the first eight.
                    at += (frame[at + 1] * 8) + 8;
                    break;
            }
        }
        return (next, at);
    }

    /// <summary>Two bytes in network order, or null behind the end.</summary>
    private static int? Word(ReadOnlySpan<byte> frame, int at) =>
        at + 2 <= frame.Length ? BinaryPrimitives.ReadUInt16BigEndian(frame[at..]) : null;
}
