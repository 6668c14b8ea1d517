using System.Globalization;
using System.Text.Json;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// An interface of the node, and the wire that leads to it from a namespace of its own. Both are up, and nothing is sent over them but the test's frames.
/// </summary>
internal sealed class UplinkWire : IDisposable
{
    private static int s_number;

    private readonly NetworkNamespace _outside;
    private readonly string _options;

    /// <param name="options">More for `ip link add`, behind a space.</param>
    internal UplinkWire(string options = "", string? name = null)
    {
        var number = Interlocked.Increment(ref s_number);
        (_options, Name) = (options, name ?? $"pntup{number}");
        _outside = new($"wire{number}");
        Make();
    }

    internal string Name { get; private set; }

    internal NetworkNamespace Outside => _outside;

    internal int Ifindex => int.Parse(File.ReadAllText($"/sys/class/net/{Name}/ifindex"), CultureInfo.InvariantCulture);

    /// <summary>The interface's own counters.</summary>
    internal UplinkCounters Counters
    {
        get
        {
            using var json = JsonDocument.Parse(Shell.Ip($"-s -j link show dev {Name}"));
            var stats = json.RootElement[0].GetProperty("stats64");
            double Of(string direction, string counter) => stats.GetProperty(direction).GetProperty(counter).GetDouble();
            return new(Of("rx", "packets"), Of("rx", "bytes"), Of("tx", "packets"), Of("tx", "bytes"), Of("rx", "dropped"));
        }
    }

    /// <summary>The XDP program on it: its id, and xdp, xdpgeneric or another word of `ip` for the mode; null: none.</summary>
    internal int? XdpProgram
    {
        get
        {
            using var json = JsonDocument.Parse(Shell.Ip($"-d -j link show dev {Name}"));
            return json.RootElement[0].TryGetProperty("xdp", out var xdp) ? xdp.GetProperty("prog").GetProperty("id").GetInt32() : null;
        }
    }

    /// <summary>Sends on the wire, so that it arrives at the interface.</summary>
    internal FrameSocket OpenWire() => FrameSocket.Open(_outside, "wire0");

    /// <summary>Sends out of the interface.</summary>
    internal FrameSocket Open() => FrameSocket.Open(null, Name);

    /// <summary>Removes the interface, and with it the wire.</summary>
    internal void Remove() => Shell.TryRun("ip", "link", "delete", Name);

    /// <summary>Makes the interface, again after <see cref="Remove"/>.</summary>
    internal void Make()
    {
        Shell.Ip($"link add {Name}{_options} type veth peer name wire0 netns {_outside.Name}");
        // Without IPv6 addresses there are no frames but the test's.
        Shell.Ip($"link set {Name} addrgenmode none arp off up");
        _outside.Ip("link set wire0 addrgenmode none arp off up");
        if (!SpinWait.SpinUntil(() => Shell.Ip($"link show dev {Name}").Contains("LOWER_UP", StringComparison.Ordinal), Silence.Limit))
        {
            throw new InvalidOperationException($"{Name} has got no carrier");
        }
    }

    internal void Rename(string name)
    {
        Shell.Ip($"link set {Name} down");
        Shell.Ip($"link set {Name} name {name}");
        Shell.Ip($"link set {name} up");
        Name = name;
    }

    public void Dispose()
    {
        Remove();
        _outside.Dispose();
    }
}

/// <summary>An interface's own counters.</summary>
internal readonly record struct UplinkCounters(double Received, double ReceivedBytes, double Sent, double SentBytes, double Dropped);
