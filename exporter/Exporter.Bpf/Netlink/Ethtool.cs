using System.Text;
using Exporter.Bpf.Native;

namespace Exporter.Bpf.Netlink;

/// <summary>
/// Asks an interface's driver, in the network namespace of the calling thread: ioctl(2) with SIOCETHTOOL (linux/ethtool.h). Needs no capability
/// (net/ethtool/ioctl.c, __dev_ethtool).
/// </summary>
public static unsafe class Ethtool
{
    /// <summary>The name of the driver (ETHTOOL_GDRVINFO); empty where the interface does not say, or is not there.</summary>
    public static string FindDriver(string interfaceName)
    {
        var information = new Libc.ethtool_drvinfo { cmd = Libc.ETHTOOL_GDRVINFO };
        return Ask(interfaceName, &information)
            ? Encoding.UTF8.GetString(new ReadOnlySpan<byte>(information.driver, Libc.ethtool_drvinfo.DriverLength).TrimEnd((byte)0))
            : "";
    }

    /// <summary>
    /// Whether the driver merges received packets before the network stack sees them (ETHTOOL_GFLAGS, ETH_FLAG_LRO); null where the interface does
    /// not say, or is not there.
    /// </summary>
    public static bool? HasLargeReceiveOffload(string interfaceName)
    {
        var flags = new Libc.ethtool_value { cmd = Libc.ETHTOOL_GFLAGS };
        return Ask(interfaceName, &flags) ? (flags.data & Libc.ETH_FLAG_LRO) != 0 : null;
    }

    /// <param name="command">A structure that begins with the command, and gets the answer.</param>
    private static bool Ask(string interfaceName, void* command)
    {
        var request = new Libc.ifreq { ifr_data = command };
        // The kernel reads the name up to its zero, so that there is room for one byte less.
        if (!Encoding.UTF8.TryGetBytes(interfaceName, new Span<byte>(request.ifr_name, Libc.IFNAMSIZ - 1), out _))
        {
            return false;
        }
        using var socket = Libc.socket(Libc.AF_UNIX, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        return !socket.IsInvalid && Libc.ioctl(socket, Libc.SIOCETHTOOL, &request) >= 0;
    }
}
