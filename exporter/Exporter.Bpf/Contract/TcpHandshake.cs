using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

// The types of bpf/kprobe/tcp_handshake.h, field by field. ContractTests compares them with the BTF of the built object.
namespace Exporter.Bpf.Contract;

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
public enum HandshakeStep
{
    Connected,
    Accepted,
    Failed,
}

/// <summary>struct handshake_key: a network namespace.</summary>
/// <param name="Network">As <see cref="NetNamespaces.Find"/> has it.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct HandshakeKey(ulong Network);

/// <summary>struct handshake_duration: handshakes of one range of durations, and the sum of these.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct HandshakeDuration(ulong Handshakes, ulong Nanoseconds);

/// <summary>struct handshake_role: the handshakes of one side.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct HandshakeRole
{
    /// <summary>One for each of the bounds that the programs were loaded with, and one above.</summary>
    public HandshakeDurations Durations;

    /// <summary>Indexed by <see cref="HandshakeFailure"/>.</summary>
    public HandshakeFailures Failures;

    /// <summary>SYNs, or SYN-ACKs, that were sent again.</summary>
    public ulong Retransmits;

    /// <summary>As <see cref="HandshakeValue.Regroup(IReadOnlyList{ulong})"/>.</summary>
    internal readonly HandshakeRole Regroup(IReadOnlyList<ulong> to)
    {
        var role = this;
        RowFields.Regroup(RowFields.CountersOf(ref role.Durations), to);
        return role;
    }
}

/// <summary>struct handshake_value: the handshakes of one network namespace.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct HandshakeValue
{
    /// <summary>Of those who sent a SYN.</summary>
    public HandshakeRole Client;

    /// <summary>Of those who answered one.</summary>
    public HandshakeRole Server;

    /// <summary>HANDSHAKE_DURATIONS.</summary>
    public const int Ranges = 32;

    /// <summary>
    /// The same, with its durations in the ranges of other bounds: each range goes where its mean belongs, so that numbers and sums stay.
    /// </summary>
    /// <param name="from">The bounds that it was counted by, in nanoseconds, ascending.</param>
    /// <param name="to">Those that it is to have.</param>
    public readonly HandshakeValue Regroup(IReadOnlyList<ulong> from, IReadOnlyList<ulong> to) =>
        from.SequenceEqual(to) ? this : Regroup(to);

    /// <summary>The same, whatever it was counted by; it stays as it is where that were these bounds.</summary>
    public readonly HandshakeValue Regroup(IReadOnlyList<ulong> to) => new() { Client = Client.Regroup(to), Server = Server.Regroup(to) };

    /// <summary>The counters by names that stay the same whatever is added to the structure.</summary>
    internal static MapLayout LayoutOf(string settings) => new(settings, Fields.Names);

    public static RowFields Fields { get; } = new("handshakes",
    [
        .. from role in (string[])["client", "server"]
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
public struct HandshakeAddress
{
    public AddressWords Words;
}

/// <summary>struct handshake_flow: the ends of a connection, as one of them sees it.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct HandshakeFlow
{
    public ulong Network;
    public HandshakeAddress Local;
    public HandshakeAddress Remote;
    public uint LocalPort;
    public uint RemotePort;
}

/// <summary>
/// struct handshake_late: a handshake whose SYN or SYN-ACK was, or will be, sent again. Times are CLOCK_MONOTONIC's, in nanoseconds.
/// </summary>
/// <param name="Resent">The last time; 0 where it has not been yet.</param>
/// <param name="Role">0 the client, 1 the server; 2 a client whose SYN was redirected to its own namespace, which does not count.</param>
[StructLayout(LayoutKind.Sequential)]
public record struct HandshakeLate(ulong Started, ulong Resent, ulong Role);

/// <summary>HANDSHAKE_DURATIONS ranges.</summary>
[InlineArray(32)]
public struct HandshakeDurations
{
    private HandshakeDuration _first;
}

/// <summary>HANDSHAKE_FAILURES reasons.</summary>
[InlineArray(8)]
public struct HandshakeFailures
{
    private ulong _first;
}

/// <summary>128 bits.</summary>
[InlineArray(4)]
public struct AddressWords
{
    private uint _first;
}
