using System.Runtime.InteropServices;

namespace Exporter.Bpf.Native;

/// <summary>The C library's functions that .NET has no API for. All return -1 and set errno on failure.</summary>
internal static unsafe partial class Libc
{
    private const string Library = "libc";

    internal const int AF_NETLINK = 16;
    internal const int SOCK_RAW = 3;
    internal const int SOCK_CLOEXEC = 0x80000;
    internal const int NETLINK_ROUTE = 0;
    internal const int NETLINK_NETFILTER = 12;
    internal const int SOL_SOCKET = 1;
    internal const int SO_RCVBUFFORCE = 33;
    internal const int SOL_NETLINK = 270;
    internal const int NETLINK_ADD_MEMBERSHIP = 1;
    internal const int NETLINK_CAP_ACK = 10;
    internal const int NETLINK_EXT_ACK = 11;
    internal const int NETLINK_GET_STRICT_CHK = 12;
    internal const int MSG_DONTWAIT = 0x40;
    internal const int MSG_TRUNC = 0x20;
    internal const int EFD_CLOEXEC = 0x80000;
    internal const short POLLIN = 1;
    internal const short POLLOUT = 4;
    internal const short POLLRDHUP = 0x2000;
    internal const int EPOLL_CLOEXEC = 0x80000;
    internal const int EPOLL_CTL_ADD = 1;
    internal const int EPOLL_CTL_DEL = 2;
    internal const uint EPOLLIN = 1;
    internal const uint EPOLLET = 1U << 31;

    /// <summary>mallopt(3), of glibc.</summary>
    internal const int M_ARENA_MAX = -8;
    internal const int M_MMAP_THRESHOLD = -3;

    [LibraryImport(Library)]
    internal static partial int mallopt(int parameter, int value);

    [LibraryImport(Library)]
    internal static partial int malloc_trim(nuint keep);

    /// <summary>_exit(2): does not return, and runs nothing of the process any more.</summary>
    [LibraryImport(Library)]
    internal static partial void _exit(int status);

    /// <summary>struct sockaddr_nl, netlink(7).</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct sockaddr_nl
    {
        internal ushort nl_family;
        internal ushort nl_pad;
        internal uint nl_pid;
        internal uint nl_groups;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct iovec
    {
        internal void* iov_base;
        internal nuint iov_len;
    }

    /// <summary>struct msghdr, recvmsg(2).</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct msghdr
    {
        internal void* msg_name;
        internal uint msg_namelen;
        internal iovec* msg_iov;
        internal nuint msg_iovlen;
        internal void* msg_control;
        internal nuint msg_controllen;
        internal int msg_flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct pollfd
    {
        internal int fd;
        internal short events;
        internal short revents;
    }

    internal const nuint SIOCETHTOOL = 0x8946;
    internal const uint ETHTOOL_GDRVINFO = 0x03;
    internal const uint ETHTOOL_GFLAGS = 0x25;
    internal const uint ETH_FLAG_LRO = 1 << 15;
    internal const int IFNAMSIZ = 16;

    /// <summary>struct ifreq, netdevice(7), as far as it is used.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    internal struct ifreq
    {
        [FieldOffset(0)]
        internal fixed byte ifr_name[IFNAMSIZ];

        [FieldOffset(16)]
        internal void* ifr_data;
    }

    /// <summary>struct ethtool_drvinfo (linux/ethtool.h), as far as it is used.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 196)]
    internal struct ethtool_drvinfo
    {
        internal const int DriverLength = 32;

        [FieldOffset(0)]
        internal uint cmd;

        [FieldOffset(4)]
        internal fixed byte driver[DriverLength];
    }

    /// <summary>struct ethtool_value (linux/ethtool.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct ethtool_value
    {
        internal uint cmd;
        internal uint data;
    }

    internal const int RLIMIT_NOFILE = 7;
    internal const int F_SETFL = 4;
    internal const int F_DUPFD_CLOEXEC = 1030;
    internal const int O_RDONLY = 0;
    internal const int O_APPEND = 0x400;
    internal const int O_CLOEXEC = 0x80000;
    internal const int LOCK_SH = 1;
    internal const int LOCK_EX = 2;
    internal const int LOCK_NB = 4;
    internal const int LOCK_UN = 8;
    internal const int AF_UNIX = 1;
    internal const int SOCK_DGRAM = 2;

    /// <summary>include/uapi/asm-generic/socket.h; since Linux 5.14.</summary>
    internal const int SO_NETNS_COOKIE = 71;
    internal const int PROT_READ = 1;
    internal const int PROT_WRITE = 2;
    internal const int MAP_SHARED = 1;
    internal const int AT_FDCWD = -100;
    internal const int AT_EMPTY_PATH = 0x1000;
    internal const int ST_RDONLY = 1;
    internal const uint STATX_BASIC_STATS = 0x7ff;

    /// <summary>struct statx, statx(2), as far as it is used; the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    internal struct statx_t
    {
        [FieldOffset(16)]
        internal uint stx_nlink;

        [FieldOffset(20)]
        internal uint stx_uid;

        [FieldOffset(28)]
        internal ushort stx_mode;

        [FieldOffset(32)]
        internal ulong stx_ino;

        [FieldOffset(136)]
        internal uint stx_dev_major;

        [FieldOffset(140)]
        internal uint stx_dev_minor;
    }

    /// <summary>struct statfs, statfs(2), as far as it is used.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    internal struct statfs_t
    {
        [FieldOffset(0)]
        internal long f_type;

        [FieldOffset(80)]
        internal long f_flags;
    }

    /// <summary>struct rlimit, getrlimit(2).</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct rlimit
    {
        internal ulong rlim_cur;
        internal ulong rlim_max;
    }

    /// <summary>A system call that the C library has no function for. Its arguments are passed as other functions' are, on x86-64 and arm64.</summary>
    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint syscall(nint number, nint first, nint second, nint third);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int getrlimit(int resource, rlimit* limit);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int setrlimit(int resource, rlimit* limit);

    [LibraryImport(Library)]
    internal static partial int close(int fd);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial FileDescriptor open(string path, int flags);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int fcntl(int fd, int command, int argument);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int flock(FileDescriptor fd, int operation);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statx(int directory, string path, int flags, uint mask, statx_t* result);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statfs(string path, statfs_t* result);

    [LibraryImport(Library)]
    internal static partial uint geteuid();

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint mmap(nint address, nuint length, int protection, int flags, FileDescriptor fd, nint offset);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int munmap(nint address, nuint length);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial FileDescriptor socket(int domain, int type, int protocol);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int bind(FileDescriptor fd, sockaddr_nl* address, uint length);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int setsockopt(FileDescriptor fd, int level, int name, int* value, uint length);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int getsockopt(FileDescriptor fd, int level, int name, void* value, uint* length);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int rename(string from, string to);

    /// <summary>Has variable arguments, which are passed as other functions' are, on x86-64 and arm64.</summary>
    [LibraryImport(Library, SetLastError = true)]
    internal static partial int ioctl(FileDescriptor fd, nuint request, void* argument);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint send(FileDescriptor fd, byte* buffer, nuint length, int flags);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint recv(FileDescriptor fd, byte* buffer, nuint length, int flags);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint recvmsg(FileDescriptor fd, msghdr* message, int flags);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial FileDescriptor eventfd(uint initial, int flags);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint write(SafeHandle fd, void* buffer, nuint length);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int poll(pollfd* fds, nuint count, int timeoutMilliseconds);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial FileDescriptor epoll_create1(int flags);

    /// <param name="wanted">struct epoll_event.</param>
    [LibraryImport(Library, SetLastError = true)]
    internal static partial int epoll_ctl(FileDescriptor poll, int operation, SafeHandle fd, byte* wanted);

    /// <param name="events">An array of struct epoll_event.</param>
    [LibraryImport(Library, SetLastError = true)]
    internal static partial int epoll_wait(FileDescriptor poll, byte* events, int count, int timeoutMilliseconds);

    /// <summary>Formats what libbpf hands to its print callback; <paramref name="arguments"/> is a va_list.</summary>
    [LibraryImport(Library)]
    internal static partial int vsnprintf(byte* buffer, nuint size, byte* format, nint arguments);
}
