namespace Exporter.Bpf;

/// <summary>Security mechanisms that can refuse bpf(2) to this process although it has the capabilities.</summary>
/// <param name="Modules">The kernel's security modules, as in lockdown,capability,selinux; null where the kernel does not list them.</param>
/// <param name="SeLinuxContext">The process's SELinux context; null without SELinux, or where it only reports what its policy does not allow.</param>
/// <param name="AppArmorProfile">The AppArmor profile that is enforced on the process; null without one.</param>
/// <param name="HasSeccompFilter">Whether a seccomp filter looks at the process's system calls.</param>
public sealed record Confinement(string? Modules, string? SeLinuxContext, string? AppArmorProfile, bool HasSeccompFilter)
{
    /// <param name="root">Where /proc and /sys are.</param>
    public static Confinement Read(string root = "/")
    {
        var modules = TryRead("sys/kernel/security/lsm");
        // In a container securityfs and selinuxfs are often not mounted, so the label itself has to say whose it is: user:role:type[:level] or profile (mode).
        var label = TryRead("proc/self/attr/current");
        var apparmor = TryRead("proc/self/attr/apparmor/current") ?? label;
        return new(
            modules,
            label is not null && IsContext(label) && TryRead("sys/fs/selinux/enforce") != "0" ? label : null,
            apparmor is not null && (apparmor.EndsWith(" (enforce)", StringComparison.Ordinal) || apparmor.EndsWith(" (kill)", StringComparison.Ordinal)) ? apparmor : null,
            TryRead("proc/self/status")?.Split('\n').Any(line => line.Split(':') is ["Seccomp", var mode] && mode.Trim() == "2") ?? false);

        string? TryRead(string path)
        {
            try
            {
                return File.ReadAllText(Path.Combine(root, path)).Trim('\0', '\n', ' ') is { Length: > 0 } text ? text : null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }

    /// <summary>Names the mechanism that refused, as far as it can be known, with a remedy, a sentence or two each.</summary>
    /// <param name="reachesKernel">Whether bpf(2) itself answers, <see cref="KernelSupport.RefusalOfBpf"/>: a seccomp filter did not refuse it.</param>
    public IReadOnlyList<string> Suspects(bool reachesKernel)
    {
        var suspects = new List<string>();
        if (HasSeccompFilter && !reachesKernel)
        {
            suspects.Add(
                "A seccomp filter refuses bpf(2): use a profile that allows it, such as securityContext.seccompProfile.type RuntimeDefault of containerd. " +
                "Some profiles allow it with CAP_SYS_ADMIN only, which the chart adds with capabilities.olderKernels.");
        }
        if (SeLinuxContext is not null)
        {
            suspects.Add(
                $"SELinux is enforced, and this process is {SeLinuxContext}: its policy has to allow it map_create, map_read, map_write, prog_load and prog_run of the class bpf. " +
                "'ausearch -m AVC -c podnet-exporter' shows the refusals. In Kubernetes set securityContext.seLinuxOptions.type to a type that may, such as spc_t " +
                "(the chart's seLinuxOptions).");
        }
        if (AppArmorProfile is not null)
        {
            suspects.Add(
                $"AppArmor confines this process with the profile {AppArmorProfile}: it has to allow the capabilities bpf, perfmon and net_admin, and files below /sys/fs/bpf. " +
                "The kernel's log has apparmor=\"DENIED\" where it refused. In Kubernetes set securityContext.appArmorProfile.type to Unconfined (the chart's appArmorProfile).");
        }
        if (suspects.Count == 0)
        {
            suspects.Add(
                $"No seccomp filter, SELinux context or enforced AppArmor profile of this process is known; the kernel's security modules are {Modules ?? "not listed"}. " +
                "The kernel's log and the audit log may say what refused.");
        }
        return suspects;
    }

    private static bool IsContext(string label) => label.Split(':') is { Length: >= 3 } parts && !label.Contains(' ', StringComparison.Ordinal) && parts[..3].All(part => part.Length > 0);
}
