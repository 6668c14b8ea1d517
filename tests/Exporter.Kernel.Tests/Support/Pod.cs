using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// What a pod is to the node: a network namespace, and a veth pair into it. The host's end is down, and has no addresses until
/// <see cref="Up()"/>, so that programs can be attached before the first packet.
/// </summary>
internal sealed class Pod : IDisposable
{
    private static int s_number;

    private readonly int _number = Interlocked.Increment(ref s_number);
    private readonly NetworkNamespace _namespace;

    internal Pod()
    {
        _namespace = new NetworkNamespace($"pod{_number}");
        Shell.Ip($"link add {Interface} type veth peer name eth0 netns {Name}");
        Ifindex = int.Parse(File.ReadAllText($"/sys/class/net/{Interface}/ifindex"), CultureInfo.InvariantCulture);
    }

    internal string Name => _namespace.Name;

    /// <summary>The host's end.</summary>
    internal string Interface => $"pntveth{_number}";

    internal int Ifindex { get; }

    internal NetworkNamespace Namespace => _namespace;

    /// <summary>The host's addresses on the pair, and the pod's.</summary>
    internal IPAddress HostAddress => IPAddress.Parse($"10.{200 + (_number / 256 % 50)}.{_number % 256}.1");

    internal IPAddress Address => IPAddress.Parse($"10.{200 + (_number / 256 % 50)}.{_number % 256}.2");

    internal IPAddress HostAddress6 => IPAddress.Parse($"fd00:77:{_number:x}::1");

    internal IPAddress Address6 => IPAddress.Parse($"fd00:77:{_number:x}::2");

    internal Pod Up() => Up(hasIpv4: true);

    internal Pod UpWithIpv6Alone() => Up(hasIpv4: false);

    private Pod Up(bool hasIpv4)
    {
        if (hasIpv4)
        {
            Shell.Ip($"addr add {HostAddress}/30 dev {Interface}");
            _namespace.Ip($"addr add {Address}/30 dev eth0");
        }
        Shell.Ip($"addr add {HostAddress6}/64 dev {Interface} nodad");
        Shell.Ip($"link set {Interface} up");
        _namespace.Ip($"addr add {Address6}/64 dev eth0 nodad");
        _namespace.Ip("link set eth0 up");
        WaitForCarrier(Interface);
        if (hasIpv4)
        {
            _namespace.Ip($"route add default via {HostAddress}");
        }
        _namespace.Ip($"-6 route add default via {HostAddress6}");
        return this;
    }

    /// <summary>
    /// Waits until an interface whose other end has come up after it sends: until the kernel comes to that, a moment later, TC sees its
    /// packets, and they are dropped behind it.
    /// </summary>
    internal static void WaitForCarrier(string device)
    {
        // Asked for over netlink: it answers when the kernel is through with all of a change, and not in between.
        if (!SpinWait.SpinUntil(() => Shell.Ip($"-o link show dev {device}").Contains("state UP", StringComparison.Ordinal), Silence.Limit))
        {
            throw new InvalidOperationException($"{device} has no carrier");
        }
    }

    /// <summary>A socket inside the pod.</summary>
    internal Socket OpenSocket(AddressFamily family, SocketType type, ProtocolType protocol) => _namespace.OpenSocket(family, type, protocol);

    /// <summary>What the kernel counted on the host's end, as `ip -s -s link` shows it, from the pod's point of view.</summary>
    internal InterfaceCounters ReadCounters()
    {
        using var json = JsonDocument.Parse(Shell.Run("ip", "-s", "-s", "-j", "link", "show", "dev", Interface));
        var statistics = json.RootElement[0].GetProperty("stats64");
        var (rx, tx) = (statistics.GetProperty("rx"), statistics.GetProperty("tx"));
        return new(
            rx.GetProperty("packets").GetUInt64(),
            rx.GetProperty("bytes").GetUInt64(),
            tx.GetProperty("packets").GetUInt64(),
            tx.GetProperty("bytes").GetUInt64(),
            tx.GetProperty("dropped").GetUInt64());
    }

    public void Dispose()
    {
        // The pair goes with its end in the namespace, but only when the kernel comes to it.
        Shell.TryRun("ip", "link", "delete", Interface);
        _namespace.Dispose();
    }
}

/// <param name="ReceiveDropped">Handed to the interface for the pod, and dropped by it: in none of the other counters.</param>
internal sealed record InterfaceCounters(
    ulong TransmittedPackets, ulong TransmittedBytes, ulong ReceivedPackets, ulong ReceivedBytes, ulong ReceiveDropped)
{
    /// <summary>
    /// Whether this was counted to the packet and the byte. What the interface dropped, as a busy machine's does, was handed to it and is in our
    /// counters; the interface does not say how many bytes that was.
    /// </summary>
    internal bool IsCountedAs(InterfaceCounters counted) => ReceiveDropped == 0
        ? counted == this
        : counted with { ReceivedBytes = 0 } == this with { ReceivedPackets = ReceivedPackets + ReceiveDropped, ReceivedBytes = 0, ReceiveDropped = 0 };
}
