using System.Net.Sockets;
using Exporter.Bpf;

namespace Exporter.Server;

/// <summary>What of a client's first message has arrived and was not read yet. Looking leaves it in the kernel's buffer.</summary>
internal static class FirstMessage
{
    internal enum State
    {
        /// <summary>No request can come any more: the client has closed the connection, or does not begin with a TLS handshake where it has to.</summary>
        Closed,

        /// <summary>More has to come.</summary>
        Unfinished,

        /// <summary>It is so long that whoever reads it may refuse it before its end.</summary>
        Long,

        /// <summary>There is enough to answer, if only with an error.</summary>
        Complete,
    }

    /// <summary>Room for any ClientHello; a request beyond that is looked at by Kestrel, which reads it.</summary>
    private const int MaxBytes = 32 << 10;

    private const byte HandshakeRecord = 22;
    private const byte MajorVersion = 3;
    private const int RecordHeader = 5;
    private const byte ClientHello = 1;
    private const int MessageHeader = 4;

    [ThreadStatic]
    private static byte[]? s_buffer;

    /// <param name="socket">It does not block.</param>
    internal static State Look(Socket socket, bool isTls)
    {
        // Before what has arrived is looked at: after a hang-up nothing is added to that.
        var hasHungUp = EventPoll.HasHungUp(socket.SafeHandle);
        var buffer = s_buffer ??= new byte[MaxBytes];
        var bytes = buffer.AsSpan(0, socket.Receive(buffer, SocketFlags.Peek, out var error));
        if (bytes.IsEmpty)
        {
            return error == SocketError.WouldBlock && !hasHungUp ? State.Unfinished : State.Closed;
        }
        var state = isTls ? LookAtHandshake(bytes) : LookAtRequest(bytes);
        return state == State.Unfinished && hasHungUp ? State.Closed : state;
    }

    /// <summary>
    /// RFC 8446, sections 4 and 5.1: a message may come in several records. One that is complete is answered, if only with an alert; what would
    /// have the server wait for more must not get so far.
    /// </summary>
    private static State LookAtHandshake(ReadOnlySpan<byte> bytes)
    {
        var isFull = bytes.Length == MaxBytes;
        var (header, length) = (0u, 0);
        while (!bytes.IsEmpty)
        {
            if (bytes[0] != HandshakeRecord || (bytes.Length > 1 && bytes[1] != MajorVersion))
            {
                return State.Closed;
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
        return isFull ? State.Closed : State.Unfinished;
    }

    private static State LookAtRequest(ReadOnlySpan<byte> bytes) =>
        !IsUnfinishedRequest(bytes) ? State.Complete
        : bytes.Length == MaxBytes ? State.Long
        : State.Unfinished;

    /// <summary>RFC 9112, section 2.1: headers end with an empty line. What begins otherwise than a request line is an error at once.</summary>
    private static bool IsUnfinishedRequest(ReadOnlySpan<byte> bytes) =>
        (char.IsAsciiLetter((char)bytes[0]) || bytes[0] is (byte)'\r' or (byte)'\n')
        && bytes.IndexOf("\n\r\n"u8) < 0
        && bytes.IndexOf("\n\n"u8) < 0;
}
