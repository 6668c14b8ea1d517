using Exporter.Bpf.Native;

namespace Exporter.Bpf.Netlink;

/// <summary>rtnetlink refused a request, or the socket failed.</summary>
public sealed class NetlinkException : KernelException
{
    internal NetlinkException(string operation, int errno, string? reason = null)
        : base($"Cannot {operation}: {Errno.Describe(errno)}{(string.IsNullOrEmpty(reason) ? "" : $" ({reason})")}", errno)
    {
    }
}
