using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.Options;

namespace Exporter.Signals.Uplinks;

/// <summary>Says what would be attached to which interface, without doing it.</summary>
internal static class UplinkCheck
{
    /// <param name="programs">Null: they are not loaded.</param>
    /// <param name="problem">Why they are not loaded, where they should be.</param>
    internal static IReadOnlyList<(string Name, string Text)> Describe(UplinkOptions options, UplinkPrograms? programs, string? problem)
    {
        if (programs is null)
        {
            return [("uplinks", problem is null ? "off" : $"unavailable: {problem.Split('\n')[0]}")];
        }
        try
        {
            using var client = new LinkClient();
            using var routes = new RouteClient();
            var choice = UplinkSelection.Find(options, client, routes, new(TimeSpan.Zero, TimeProvider.System));
            return choice.IsEmpty
                ? [("uplinks", $"Uplinks:Interfaces means no interface of this node: {string.Join(", ", options.Names)}")]
                :
                [
                    .. choice.Counted.SelectMany((link, index) =>
                        Describe(link, index < UplinkSlots.Count ? HookOf(options, programs, link) : $"would not be counted: at most {UplinkSlots.Count} are")),
                    .. choice.WithoutEthernet.SelectMany(link => Describe(link, "would not be counted: its packets have no Ethernet header")),
                ];
        }
        catch (KernelException e)
        {
            return [("uplinks", e.Message)];
        }
    }

    private static IEnumerable<(string, string)> Describe(NodeLink link, string counting)
    {
        var offload = Ethtool.HasLargeReceiveOffload(link.Name) switch { true => "LRO on", false => "LRO off", null => "LRO unknown" };
        var present = link.Xdp.Mode == XdpMode.None ? "no XDP program" : $"XDP program {link.Xdp.ProgramId} ({EnumText.Lower(link.Xdp.Mode)})";
        yield return ($"uplink {link.Name}", $"driver {UplinkAttaching.DriverOf(link)}, MTU {link.Mtu}, {link.ReceiveQueues} receive queues, {offload}, {present}{(link.IsUp ? "" : ", down")}");
        yield return ("", counting);
    }

    private static string HookOf(UplinkOptions options, UplinkPrograms programs, NodeLink link)
    {
        if (options.Hook == UplinkHook.Tcx)
        {
            return $"received frames by {programs.Tc.Name}, sent frames by {programs.Tc.Name}";
        }
        return UplinkAttaching.FindObstacle(link, programs.HasFrags) is { } obstacle
            ? $"received frames by {programs.Tc.Name}, since {obstacle}; sent frames by {programs.Tc.Name}"
            : $"received frames by {EnumText.Lower(options.Hook)} unless the driver refuses it, {(programs.HasFrags ? "also of several parts" : "in one part")}; sent frames by {programs.Tc.Name}";
    }
}
