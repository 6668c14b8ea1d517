using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The kernel's own statistics of BPF programs, of all on the machine, which cost each of their runs some nanoseconds.</summary>
public static class BpfStatistics
{
    /// <summary>Switches them on until the result is disposed, however the process ends. Needs CAP_SYS_ADMIN.</summary>
    /// <exception cref="BpfException">It is not allowed to.</exception>
    public static IDisposable Enable()
    {
        var fd = Libbpf.bpf_enable_stats(Libbpf.BPF_STATS_RUN_TIME);
        return fd >= 0 ? new FileDescriptor(fd) : throw new BpfException("switch on the kernel's BPF statistics", -fd);
    }
}
