using System.Net.Sockets;

namespace Exporter.Server;

/// <summary>What of a client's first message has arrived and was not read yet. Looking leaves it in the kernel's buffer.</summary>
internal static class FirstMessage
{
    internal enum State
    {
        /// <summary>The client has closed the connection.</summary>
        Closed,

        /// <summary>More has to come.</summary>
        Unfinished,

        /// <summary>It is so long that whoever reads it may refuse it before its end.</summary>
        Long,

        /// <summary>There is enough to answer, if only with an error.</summary>
        Complete,
    }

    /// <summary>Room for the largest record of TLS; a request beyond that is looked at by who reads it.</summary>
    private const int MaxBytes = 32 << 10;

    private const byte HandshakeRecord = 22;
    private const int RecordHeader = 5;

    [ThreadStatic]
    private static byte[]? _buffer;

    internal static State Look(Socket socket, bool isTls)
    {
        var available = socket.Available;
        if (available == 0)
        {
            return State.Unfinished;
        }
        var buffer = _buffer ??= new byte[MaxBytes];
        var bytes = buffer.AsSpan(0, socket.Receive(buffer.AsSpan(0, Math.Min(available, MaxBytes)), SocketFlags.Peek));
        return bytes.IsEmpty ? State.Closed
            : isTls ? (IsUnfinishedHello(bytes) ? State.Unfinished : State.Complete)
            : !IsUnfinishedRequest(bytes) ? State.Complete
            : bytes.Length == MaxBytes ? State.Long
            : State.Unfinished;
    }

    /// <summary>RFC 8446, section 5.1. What is no handshake is complete: it is an error.</summary>
    private static bool IsUnfinishedHello(ReadOnlySpan<byte> bytes) =>
        bytes[0] == HandshakeRecord && (bytes.Length < RecordHeader || bytes.Length < Math.Min(MaxBytes, RecordHeader + (bytes[3] << 8) + bytes[4]));

    /// <summary>RFC 9112, section 2.1: headers end with an empty line. What begins otherwise than a request line is an error at once.</summary>
    private static bool IsUnfinishedRequest(ReadOnlySpan<byte> bytes) =>
        (char.IsAsciiLetter((char)bytes[0]) || bytes[0] is (byte)'\r' or (byte)'\n')
        && bytes.IndexOf("\n\r\n"u8) < 0
        && bytes.IndexOf("\n\n"u8) < 0;
}
