using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Exporter.Bpf;

// The types of bpf/kprobe/tcp_handshake.h, field by field. ContractTests compares them with the BTF of the built object.
namespace Exporter.Signals.Handshakes;

/// <summary>HANDSHAKE_FAILURE_*: why a handshake failed, by the error that its socket got.</summary>
public enum HandshakeFailure
{
    /// <summary>The other end answered the SYN with a reset.</summary>
    Refused,

    /// <summary>The other end reset a handshake that it had begun.</summary>
    Reset,

    /// <summary>No answer came, however often the SYN or the SYN-ACK was sent.</summary>
    TimedOut,

    HostUnreachable,
    NetUnreachable,

    /// <summary>Its own side gave it up: the socket, or the listener, was closed.</summary>
    Aborted,

    Other,

    /// <summary>
    /// The client answered the SYN-ACK with a reset and never completed the handshake, as load balancers do that check whether a port is open.
    /// </summary>
    HalfOpen,
}

/// <summary>HANDSHAKE_LOSS_*: why a handshake is counted nowhere.</summary>
public enum HandshakeLoss
{
    /// <summary>More network namespaces had handshakes between two drains than the map has entries (Bpf:MaxInterfaces).</summary>
    MapFull,

    /// <summary>The CPU already held the lock of the map's bucket.</summary>
    MapBusy,

    /// <summary>Any other error of a map operation.</summary>
    MapError,

    /// <summary>More handshakes were being sent again at once than can be remembered (Handshake:MaxRetransmitting).</summary>
    LateFull,

    /// <summary>It was completed and the kernel does not say when it began: it came of a SYN cookie, or had no room to be remembered.</summary>
    Untimed,
}

/// <summary>HANDSHAKE_STEP_*: what the programs have seen of loopback connections, which do not count.</summary>
public enum LoopbackStep
{
    Connected,
    Accepted,
    Failed,
}

/// <summary>struct handshake_key: a network namespace.</summary>
/// <param name="Netns">As <see cref="NetNamespaces.Find"/> has it.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct HandshakeKey(ulong Netns);

/// <summary>struct handshake_duration: handshakes of one range of durations, and the sum of these.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct HandshakeDuration(ulong Handshakes, ulong Nanoseconds);

/// <summary>struct handshake_role: the handshakes of one side.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct HandshakeRole
{
    /// <summary>One for each of the bounds that the programs were loaded with, and one above.</summary>
    public HandshakeDurations Durations;

    /// <summary>Indexed by <see cref="HandshakeFailure"/>.</summary>
    public HandshakeFailures Failures;

    /// <summary>SYNs, or SYN-ACKs, that were sent again.</summary>
    public ulong Retransmits;
}

/// <summary>struct handshake_value: the handshakes of one network namespace.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct HandshakeValue
{
    /// <summary>Handshakes of clients, which sent a SYN.</summary>
    public HandshakeRole Client;

    /// <summary>Handshakes of servers, which answered one.</summary>
    public HandshakeRole Server;

    /// <summary>HANDSHAKE_DURATIONS.</summary>
    public const int Ranges = 32;

    private static readonly string[] Roles = ["client", "server"];

    /// <summary>Puts the durations of a row in the ranges of other bounds, whatever they were counted by, as <see cref="RowFields.Regroup"/> does.</summary>
    internal static void Regroup(Span<ulong> row, IReadOnlyList<ulong> bounds)
    {
        foreach (var role in Roles)
        {
            RowFields.Regroup(row.Slice(Fields.IndexOf($"{role}.0.count"), 2 * Ranges), bounds);
        }
    }

    /// <summary>The counters by names that stay the same whatever is added to the structure.</summary>
    public static RowFields Fields { get; } = new("handshakes",
    [
        .. from role in Roles
           from counter in (IEnumerable<string>)
           [
               .. from range in Enumerable.Range(0, Ranges)
                  from unit in (string[])["count", "ns"]
                  select $"{range}.{unit}",
               .. Enum.GetNames<HandshakeFailure>().Select(reason => reason.ToLowerInvariant()),
               "resent",
           ]
           select $"{role}.{counter}",
    ]);
}

/// <summary>struct handshake_address: IPv6, or IPv4 mapped into it, in network order.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct HandshakeAddress
{
    public AddressWords Words;
}

/// <summary>struct handshake_flow: the ends of a connection, as one of them sees it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct HandshakeFlow
{
    public ulong Netns;
    public HandshakeAddress Local;
    public HandshakeAddress Remote;
    public uint LocalPort;
    public uint RemotePort;
}

/// <summary>
/// struct handshake_late: a handshake whose SYN or SYN-ACK was, or will be, sent again. Times are CLOCK_MONOTONIC's, in nanoseconds.
/// </summary>
/// <param name="Retransmitted">The last time; 0 where it has not been yet.</param>
/// <param name="Role">0 the client, 1 the server; 2 a client whose SYN was redirected to its own namespace, which does not count.</param>
[StructLayout(LayoutKind.Sequential)]
internal record struct RetransmittedHandshake(ulong Started, ulong Retransmitted, ulong Role);

/// <summary>HANDSHAKE_DURATIONS ranges.</summary>
[InlineArray(32)]
internal struct HandshakeDurations
{
    private HandshakeDuration _first;
}

/// <summary>HANDSHAKE_FAILURES reasons.</summary>
[InlineArray(8)]
internal struct HandshakeFailures
{
    private ulong _first;
}

/// <summary>128 bits.</summary>
[InlineArray(4)]
internal struct AddressWords
{
    private uint _first;
}
