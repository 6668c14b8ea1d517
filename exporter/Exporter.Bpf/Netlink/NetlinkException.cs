using Exporter.Bpf.Native;

namespace Exporter.Bpf.Netlink;

/// <summary>rtnetlink refused a request, or the socket failed.</summary>
public sealed class NetlinkException : Exception
{
    internal NetlinkException(string operation, int errno, string? reason = null)
        : base($"Cannot {operation}: {Errno.Describe(errno)}{(string.IsNullOrEmpty(reason) ? "" : $" ({reason})")}")
    {
        ErrorNumber = errno;
    }

    /// <summary>The kernel's errno, positive.</summary>
    public int ErrorNumber { get; }
}
