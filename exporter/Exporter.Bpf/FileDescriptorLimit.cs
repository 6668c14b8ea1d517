using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>How many file descriptors this process may have. Every tcx link is one, so an interface takes two.</summary>
public static unsafe class FileDescriptorLimit
{
    /// <summary>Raises the soft limit to the hard one, which needs no privilege (getrlimit(2)); the usual 1024 are few.</summary>
    public static void Raise()
    {
        Libc.rlimit limit;
        if (Libc.getrlimit(Libc.RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max)
        {
            limit.rlim_cur = limit.rlim_max;
            // If it is refused after all, attaching fails when there are too few.
            _ = Libc.setrlimit(Libc.RLIMIT_NOFILE, &limit);
        }
    }
}
