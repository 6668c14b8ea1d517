using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf.Netlink;

/// <summary>An open AF_NETLINK socket in the network namespace of the opening thread, to rtnetlink unless another family is asked for.</summary>
internal static unsafe class NetlinkSocket
{
    internal static FileDescriptor Open(int family = Libc.NETLINK_ROUTE)
    {
        var fd = Libc.socket(Libc.AF_NETLINK, Libc.SOCK_RAW | Libc.SOCK_CLOEXEC, family);
        if (fd.IsInvalid)
        {
            throw Failure("open a netlink socket", fd);
        }
        var address = new Libc.sockaddr_nl { nl_family = Libc.AF_NETLINK };
        return Libc.bind(fd, &address, (uint)sizeof(Libc.sockaddr_nl)) < 0 ? throw Failure("bind a netlink socket", fd) : fd;
    }

    /// <summary>Returns the errno, or 0.</summary>
    internal static int SetOption(FileDescriptor fd, int level, int option, int value) =>
        Libc.setsockopt(fd, level, option, &value, sizeof(int)) < 0 ? Marshal.GetLastPInvokeError() : 0;

    private static NetlinkException Failure(string operation, FileDescriptor fd)
    {
        var errno = Marshal.GetLastPInvokeError();
        fd.Dispose();
        return new NetlinkException(operation, errno);
    }
}
