using System.Runtime.InteropServices;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Bpf;

/// <summary>Features that the running kernel has and allows, found out by asking it rather than by its version.</summary>
public static class KernelSupport
{
    private const string BtfFile = "/sys/kernel/btf/vmlinux";
    private const string LockdownFile = "/sys/kernel/security/lockdown";
    private const string RealtimeFile = "/sys/kernel/realtime";
    private const int LoopbackIfindex = 1;

    /// <summary>The message where <see cref="HasBpfClassifier"/> is false, with a remedy.</summary>
    public const string NoBpfClassifier =
        "Missing: the classifier bpf, with which clsact runs programs. It is in the kernel's module cls_bpf (CONFIG_NET_CLS_BPF): load it on the node " +
        "with 'modprobe cls_bpf', install the package that has it (kernel-modules-extra, linux-modules-extra), or use Linux 6.6 or newer with Attach:Hook=tcx.";

    /// <summary>The message where <see cref="MayLoseCounts"/> is true, with a remedy.</summary>
    public const string LosesCounts =
        "this kernel has PREEMPT_RT, which since Linux 6.18 lets packets of one CPU overtake each other: a few counts may be lost, unless it is built with CONFIG_PREEMPT_RT_NEEDS_BH_LOCK=y. " +
        "Use such a kernel where counts have to be exact";

    /// <summary>The number of bpf(2).</summary>
    private static readonly nint SysBpf = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 280 : 321;

    /// <summary>As uname -r says it.</summary>
    public static string Release => File.ReadAllText("/proc/sys/kernel/osrelease").Trim();

    /// <summary>Whether the memory of maps counts against RLIMIT_MEMLOCK, as it did before Linux 5.11.</summary>
    public static bool LimitsBpfByMemlock => VersionOf(Release)?.CompareTo((5, 11)) < 0;

    /// <summary>
    /// Whether programs on one CPU may interrupt each other between reading and writing a counter. With PREEMPT_RT nothing but the lock of a CPU's softirqs prevents that,
    /// which Linux 6.18 made a choice of its configuration; the kernel does not say which.
    /// </summary>
    public static bool MayLoseCounts => File.Exists(RealtimeFile) && MayLoseCountsWith(Release, File.ReadAllText(RealtimeFile));

    /// <summary>Whether the kernel describes its own types, which the programs need to find fields of its structures.</summary>
    public static bool HasBtf => File.Exists(BtfFile);

    /// <summary>
    /// The errno with which bpf(2) is refused whatever is asked; 0 where it answers. A command that does not exist is EINVAL for those who may call
    /// it (kernel/bpf/syscall.c, __sys_bpf); anything else comes from a seccomp filter or, before Linux 6.5, from a missing capability.
    /// </summary>
    public static int RefusalOfBpf
    {
        get
        {
            _ = Libc.syscall(SysBpf, int.MaxValue, 0, 0);
            var errno = Marshal.GetLastPInvokeError();
            return errno == Errno.EINVAL ? 0 : errno;
        }
    }

    /// <summary>Whether the kernel has tcx links; only to be asked with <see cref="Capability.Bpf"/>.</summary>
    public static unsafe bool HasTcx
    {
        get
        {
            // A kernel with tcx can say which programs are attached to the loopback interface.
            var count = 0u;
            return Libbpf.bpf_prog_query(LoopbackIfindex, Libbpf.BPF_TCX_INGRESS, 0, null, null, &count) == 0;
        }
    }

    /// <summary>Whether the kernel has the qdisc clsact, or can load it. Nothing is made.</summary>
    public static bool HasClsact
    {
        get
        {
            using var client = new TcClient();
            return client.HasQdisc("clsact");
        }
    }

    /// <summary>Whether the kernel has the classifier with which clsact runs programs, or can load it. Lets the loopback interface have a clsact qdisc for a moment.</summary>
    public static bool HasBpfClassifier
    {
        get
        {
            using var client = new TcClient();
            return client.HasBpfClassifier();
        }
    }

    /// <summary>
    /// Whether the kernel has kprobes as perf events, which is how programs are attached to them
    /// (Documentation/ABI/testing/sysfs-bus-event_source-devices).
    /// </summary>
    public static bool HasKprobes => File.Exists("/sys/bus/event_source/devices/kprobe/type");

    /// <summary>Whether a BPF file system is mounted where it usually is.</summary>
    public static bool HasBpfFileSystem =>
        File.ReadLines("/proc/self/mounts").Any(mount => mount.Split(' ') is [_, "/sys/fs/bpf", "bpf", ..]);

    /// <param name="release">As uname -r says it.</param>
    /// <param name="realtime">The content of /sys/kernel/realtime.</param>
    internal static bool MayLoseCountsWith(string release, string realtime) => realtime.Trim() == "1" && VersionOf(release)?.CompareTo((6, 18)) >= 0;

    /// <summary>Null where it does not begin with two numbers.</summary>
    private static (int Major, int Minor)? VersionOf(string release) =>
        release.Split('.', '-', '+') is [var major, var minor, ..] && int.TryParse(major, out var first) && int.TryParse(minor, out var second) ? (first, second) : null;

    /// <summary>none, integrity or confidentiality; null where the kernel does not say. In confidentiality mode BPF cannot read kernel memory.</summary>
    public static string? Lockdown
    {
        get
        {
            try
            {
                // The mode in force is the one in brackets: none [integrity] confidentiality
                var text = File.ReadAllText(LockdownFile);
                var (start, end) = (text.IndexOf('[', StringComparison.Ordinal), text.IndexOf(']', StringComparison.Ordinal));
                return start >= 0 && end > start ? text[(start + 1)..end] : null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }
}

/// <summary>The capabilities that the exporter needs, by their numbers in linux/capability.h.</summary>
public enum Capability
{
    /// <summary>CAP_NET_ADMIN: attach to interfaces, ask for the addresses of other namespaces.</summary>
    NetAdmin = 12,

    /// <summary>CAP_PERFMON: let a program read kernel memory.</summary>
    Perfmon = 38,

    /// <summary>CAP_BPF: make maps, load programs.</summary>
    Bpf = 39,
}
