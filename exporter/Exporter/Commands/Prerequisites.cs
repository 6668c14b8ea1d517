using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Interfaces;
using Exporter.Kubernetes;
using Exporter.Kubernetes.Access;
using Exporter.Pods;

namespace Exporter.Commands;

/// <summary>Requirements to be met before anything is loaded.</summary>
internal static class Prerequisites
{
    /// <summary>Finds requirements that are not met, with a remedy, a sentence each; empty is good.</summary>
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
        if (missing.Count == 0 && KernelSupport.RefusalOfBpf is not 0 and var errno)
        {
            missing.Add($"bpf(2) is refused: {Errno.Describe(errno)}\n{ExplainRefusal(errno)}");
        }
        return missing;
    }

    /// <summary>Describes why the kernel refused the programs, with a remedy where one is known.</summary>
    internal static string Explain(BpfException refusal) => refusal switch
    {
        { ErrorNumber: Errno.EPERM or Errno.EACCES, IsOfVerifier: false } => $"{refusal.Message}\n{ExplainRefusal(refusal.ErrorNumber)}",
        { ErrorNumber: Errno.ENOMEM } => $"{refusal.Message}\nThe kernel has no memory for it: raise the limit of the container, or lower Flows:MaxFlows or Bpf:MaxInterfaces.",
        _ => refusal.Message,
    };

    /// <summary>Names the mechanisms that may have refused bpf(2) to a process that has the capabilities, a line each.</summary>
    private static string ExplainRefusal(int errno)
    {
        var suspects = Confinement.Read().Suspects(reachesKernel: KernelSupport.RefusalOfBpf == 0);
        string[] memory = errno == Errno.EPERM && KernelSupport.LimitsBpfByMemlock
            ? ["Before Linux 5.11 the memory of BPF maps counts against RLIMIT_MEMLOCK: raise it, as 'ulimit -l unlimited' does."]
            : [];
        return string.Join('\n', memory.Concat(suspects));
    }

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

    /// <summary>tcx or clsact, as is asked for and the kernel has.</summary>
    /// <param name="problem">Why it can be neither, and what to do; null where all is well.</param>
    internal static TcAttachOption ChooseHook(TcAttachOption asked, out string? problem)
    {
        var hook = asked == TcAttachOption.Tcx || (asked == TcAttachOption.Auto && KernelSupport.HasTcx) ? TcAttachOption.Tcx : TcAttachOption.Clsact;
        problem = hook switch
        {
            TcAttachOption.Tcx when !KernelSupport.HasTcx => "Attach:Hook is tcx, but this kernel has none. It came with Linux 6.6; use auto or clsact.",
            TcAttachOption.Clsact when !KernelSupport.HasClsact =>
                "Missing: the qdisc clsact, with which programs are attached. It is in the kernel's module sch_ingress (CONFIG_NET_SCH_INGRESS): load it on the node " +
                "with 'modprobe sch_ingress', install the package that has it (kernel-modules-extra, linux-modules-extra), or use Linux 6.6 or newer with Attach:Hook=tcx.",
            _ => null,
        };
        return hook;
    }
}
