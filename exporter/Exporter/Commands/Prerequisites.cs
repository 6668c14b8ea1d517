using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Kubernetes;
using Exporter.Kubernetes.Access;
using Exporter.Options;

namespace Exporter.Commands;

/// <summary>What has to be there before anything is loaded.</summary>
internal static class Prerequisites
{
    internal const string NoTcx = "Attach:Hook is tcx, but this kernel has none. It came with Linux 6.6; use auto or clsact.";

    /// <summary>What is missing and what to do about it, a sentence each; empty is good.</summary>
    internal static IReadOnlyList<string> FindMissing()
    {
        var missing = new List<string>();
        if (Capabilities.Missing() is { Count: > 0 } lacks)
        {
            var names = string.Join(", ", lacks.Select(capability => capability.Name()));
            missing.Add(
                $"Missing: {names}. Run as root, grant them with 'setpriv --ambient-caps' or 'setcap', or in Kubernetes list them " +
                "under securityContext.capabilities.add.");
        }
        if (!KernelSupport.HasBtf)
        {
            missing.Add("Missing: /sys/kernel/btf/vmlinux. The kernel has to be built with CONFIG_DEBUG_INFO_BTF, and /sys has to be mounted.");
        }
        if (KernelSupport.Lockdown == "confidentiality")
        {
            missing.Add("The kernel is locked down in confidentiality mode, in which BPF programs are not allowed to read it. Boot it with lockdown=integrity.");
        }
        return missing;
    }

    /// <summary>What the kernel said when it refused the programs, and what to do about it where that is known.</summary>
    internal static string Explain(BpfException refusal) => refusal.ErrorNumber == Errno.EPERM
        ? $"{refusal.Message}\nBefore Linux 5.11 the memory of BPF maps counts against RLIMIT_MEMLOCK: raise it, as 'ulimit -l unlimited' does. In a container the seccomp " +
            "profile has to allow bpf(2): some do so only with CAP_SYS_ADMIN."
        : refusal.Message;

    /// <summary>The way to the API server, if pods are to be known from there.</summary>
    /// <param name="problem">Why there is none although there should be; null where all is well.</param>
    /// <returns>Null: without Kubernetes, or there is a problem.</returns>
    internal static ApiConnection? OpenApi(ExporterOptions options, out string? problem)
    {
        problem = null;
        var isWanted = options.Identity.Source == IdentityChoice.Kubernetes
            || (options.Identity.Source == IdentityChoice.Auto && ApiConnection.IsConfigured(options.Kubernetes));
        if (!isWanted)
        {
            return null;
        }
        if (options.Kubernetes.FindNodeName() is null)
        {
            problem = "Kubernetes:NodeName: is not set, and neither is NODE_NAME in the environment; in Kubernetes set it from the downward API's spec.nodeName.";
            return null;
        }
        try
        {
            return new ApiConnection(options.Kubernetes);
        }
        catch (AccessException e)
        {
            problem = e.Message;
            return null;
        }
    }

    /// <summary>tcx or clsact; null where tcx is asked for and the kernel has none.</summary>
    internal static HookChoice? ChooseHook(HookChoice asked) => asked switch
    {
        HookChoice.Clsact => HookChoice.Clsact,
        _ when KernelSupport.HasTcx => HookChoice.Tcx,
        HookChoice.Auto => HookChoice.Clsact,
        _ => null,
    };
}
