using System.Buffers.Binary;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Exporter.Records;

/// <summary>The Community ID of a flow, version 1 with seed 0 (github.com/corelight/community-id-spec): other tools give the flow the same id.</summary>
internal static class CommunityId
{
    /// <summary>Bytes of the text: the version, a colon, and 20 bytes in base64.</summary>
    internal const int TextLength = 30;

    /// <summary>The seed, two addresses, the protocol, a zero, two ports.</summary>
    private const int MaxInput = 2 + 16 + 16 + 2 + 4;

    /// <summary>Writes the id of a flow of TCP, UDP or SCTP. Both directions have the same.</summary>
    /// <param name="utf8">At least <see cref="TextLength"/> bytes.</param>
    internal static void Format(byte protocol, FlowAddress source, ushort sourcePort, FlowAddress destination, ushort destinationPort, Span<byte> utf8)
    {
        if (IsInOrder(source, sourcePort, destination, destinationPort))
        {
            Write(protocol, source, destination, (sourcePort, destinationPort), utf8);
        }
        else
        {
            Write(protocol, destination, source, (destinationPort, sourcePort), utf8);
        }
    }

    /// <summary>
    /// Writes the id of messages of ICMP or ICMPv6. A request and its reply have the same; all other messages have a direction.
    /// </summary>
    /// <param name="type">Of the source's messages.</param>
    /// <param name="utf8">At least <see cref="TextLength"/> bytes.</param>
    internal static void FormatIcmp(byte protocol, FlowAddress source, FlowAddress destination, byte type, byte code, Span<byte> utf8)
    {
        if (Counterpart(protocol, type) is { } counterpart)
        {
            Format(protocol, source, type, destination, counterpart, utf8);
        }
        else
        {
            Write(protocol, source, destination, (type, code), utf8);
        }
    }

    /// <summary>Writes the id of a flow of a protocol without ports.</summary>
    /// <param name="utf8">At least <see cref="TextLength"/> bytes.</param>
    internal static void FormatWithoutPorts(byte protocol, FlowAddress source, FlowAddress destination, Span<byte> utf8)
    {
        if (IsInOrder(source, 0, destination, 0))
        {
            Write(protocol, source, destination, null, utf8);
        }
        else
        {
            Write(protocol, destination, source, null, utf8);
        }
    }

    private static bool IsInOrder(FlowAddress source, ushort sourcePort, FlowAddress destination, ushort destinationPort) =>
        source.CompareTo(destination) is var order && (order < 0 || (order == 0 && sourcePort <= destinationPort));

    [SuppressMessage("Security", "CA5350:Do Not Use Weak Cryptographic Algorithms", Justification = "The specification demands SHA-1. Nothing relies on its strength.")]
    private static void Write(byte protocol, FlowAddress first, FlowAddress second, (ushort First, ushort Second)? ports, Span<byte> utf8)
    {
        const int Seed = 2;
        Span<byte> input = stackalloc byte[MaxInput];
        input.Clear();
        var at = Seed;
        at += first.Write(input[at..]);
        at += second.Write(input[at..]);
        input[at] = protocol;
        at += 2;
        if (ports is { } both)
        {
            BinaryPrimitives.WriteUInt16BigEndian(input[at..], both.First);
            BinaryPrimitives.WriteUInt16BigEndian(input[(at + 2)..], both.Second);
            at += 4;
        }
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
        _ = SHA1.HashData(input[..at], hash);
        "1:"u8.CopyTo(utf8);
        _ = Base64.EncodeToUtf8(hash, utf8[2..], out _, out _);
    }

    /// <summary>The type of the reply to a request, and of the request of a reply; null for all other messages (as Zeek has it).</summary>
    internal static byte? Counterpart(byte protocol, byte type) => protocol == IpProtocol.Icmp
        ? type switch
        {
            0 => 8, // echo
            8 => 0,
            9 => 10, // router advertisement and solicitation
            10 => 9,
            13 => 14, // timestamp
            14 => 13,
            15 => 16, // information
            16 => 15,
            17 => 18, // address mask
            18 => 17,
            _ => null,
        }
        : type switch
        {
            128 => 129, // echo
            129 => 128,
            130 => 131, // multicast listener query and report
            131 => 130,
            133 => 134, // router solicitation and advertisement
            134 => 133,
            135 => 136, // neighbor solicitation and advertisement
            136 => 135,
            139 => 140, // node information query and response
            140 => 139,
            144 => 145, // home agent address discovery
            145 => 144,
            _ => null,
        };
}
