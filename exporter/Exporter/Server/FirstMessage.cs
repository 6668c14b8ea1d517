using System.Net.Sockets;
using Exporter.Bpf;

namespace Exporter.Server;

/// <summary>Checks how much of a client's first message has arrived, and leaves it in the kernel's buffer.</summary>
internal static class FirstMessage
{
    internal enum State
    {
        /// <summary>No request can come any more: the client has closed the connection.</summary>
        Closed,

        /// <summary>The client has to begin with a TLS handshake, and begins otherwise, or with one that has no end: as with HTTP to an HTTPS port.</summary>
        Foreign,

        /// <summary>The client has to send more.</summary>
        Unfinished,

        /// <summary>It is so long that Kestrel may refuse it before its end.</summary>
        Long,

        /// <summary>The server can answer, if only with an error.</summary>
        Complete,
    }

    /// <summary>Room for any ClientHello. A longer request goes to Kestrel, which reads it.</summary>
    private const int MaxBytes = 32 << 10;

    private const byte HandshakeRecord = 22;
    private const byte MajorVersion = 3;
    private const int RecordHeader = 5;
    private const byte ClientHello = 1;
    private const int MessageHeader = 4;

    [ThreadStatic]
    private static byte[]? s_buffer;

    /// <param name="socket">A socket that does not block.</param>
    internal static State Peek(Socket socket, bool isTls)
    {
        // Checked before the data: after a hang-up no data is added.
        var hasHungUp = EventPoll.HasHungUp(socket.SafeHandle);
        var buffer = s_buffer ??= new byte[MaxBytes];
        var bytes = buffer.AsSpan(0, socket.Receive(buffer, SocketFlags.Peek, out var error));
        if (bytes.IsEmpty)
        {
            return error == SocketError.WouldBlock && !hasHungUp ? State.Unfinished : State.Closed;
        }
        var state = isTls ? CheckHandshake(bytes) : CheckRequest(bytes);
        return state == State.Unfinished && hasHungUp ? State.Closed : state;
    }

    /// <summary>
    /// RFC 8446, sections 4 and 5.1: a message may come in several records. The server answers a complete message, if only with an alert. An
    /// incomplete one must not reach it, since the server would wait for the rest.
    /// </summary>
    private static State CheckHandshake(ReadOnlySpan<byte> bytes)
    {
        var isFull = bytes.Length == MaxBytes;
        var (header, length) = (0u, 0);
        while (!bytes.IsEmpty)
        {
            if (bytes[0] != HandshakeRecord || (bytes.Length > 1 && bytes[1] != MajorVersion))
            {
                return State.Foreign;
            }
            if (bytes.Length < RecordHeader || bytes.Length < RecordHeader + (bytes[3] << 8) + bytes[4])
            {
                break;
            }
            var fragment = bytes[RecordHeader..(RecordHeader + (bytes[3] << 8) + bytes[4])];
            bytes = bytes[(RecordHeader + fragment.Length)..];
            for (var i = 0; i < fragment.Length && length + i < MessageHeader; i++)
            {
                header = (header << 8) | fragment[i];
            }
            length += fragment.Length;
            if (length >= MessageHeader && (header >> 24 != ClientHello || length >= MessageHeader + (int)(header & 0xFFFFFF)))
            {
                return State.Complete;
            }
        }
        return isFull ? State.Foreign : State.Unfinished;
    }

    private static State CheckRequest(ReadOnlySpan<byte> bytes) =>
        !IsUnfinishedRequest(bytes) ? State.Complete
        : bytes.Length == MaxBytes ? State.Long
        : State.Unfinished;

    /// <summary>RFC 9112, section 2.1: headers end with an empty line. Bytes that cannot begin a request line are an error at once.</summary>
    private static bool IsUnfinishedRequest(ReadOnlySpan<byte> bytes) =>
        (char.IsAsciiLetter((char)bytes[0]) || bytes[0] is (byte)'\r' or (byte)'\n')
        && bytes.IndexOf("\n\r\n"u8) < 0
        && bytes.IndexOf("\n\n"u8) < 0;
}
