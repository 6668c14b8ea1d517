using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Handshakes;
using Exporter.Options;

namespace Exporter.Commands;

/// <summary>podnet-exporter check: what this kernel offers, what this process may do, and what would be used.</summary>
internal static class CheckCommand
{
    internal static int Run(ExporterOptions options, TextWriter output)
    {
        var missing = Prerequisites.FindMissing();
        var lacks = Capabilities.Missing();
        var mayAsk = !lacks.Contains(Capability.Bpf) && !lacks.Contains(Capability.NetAdmin);

        Line("kernel", $"{KernelSupport.Release} ({RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()})");
        Line("BTF", YesOrNo(KernelSupport.HasBtf));
        Line("tcx", mayAsk ? YesOrNo(KernelSupport.HasTcx) : "unknown without CAP_BPF and CAP_NET_ADMIN");
        Line("kprobes", YesOrNo(KernelSupport.HasKprobes));
        Line("lockdown", KernelSupport.Lockdown ?? "none");
        Line("bpffs", YesOrNo(KernelSupport.HasBpfFileSystem));
        foreach (var capability in Enum.GetValues<Capability>())
        {
            Line(capability.Name(), lacks.Contains(capability) ? "missing" : "yes");
        }

        if (missing.Count == 0)
        {
            try
            {
                using var programs = PodTrafficPrograms.Load(options.Bpf.MaxInterfaces);
                Line("programs", "accepted by the kernel");
                if (Prerequisites.ChooseHook(options.Attach.Hook) is { } choice)
                {
                    Line("hook", $"{choice.ToString().ToLowerInvariant()} will be used");
                }
                else
                {
                    missing = [Prerequisites.NoTcx];
                }
            }
            catch (BpfException e)
            {
                missing = [Prerequisites.Explain(e)];
            }
            using var handshakes = HandshakeHooks.Attach(options.Handshake, options.Bpf);
            Line("handshakes", handshakes.Programs is { } attached
                ? $"{HandshakeHooks.Name(attached.Hook)} will be used{(handshakes.SeesRequests ? ", and kprobes for servers' failed requests" : "")}"
                : options.Handshake.Hook == HandshakeChoice.Off ? "off" : "unavailable");
            foreach (var problem in handshakes.Problems)
            {
                Line("", problem);
            }
        }
        foreach (var problem in missing)
        {
            output.WriteLine(problem);
        }
        return missing.Count == 0 ? ExitCode.Success : ExitCode.NotSupported;

        void Line(string name, string value) => output.WriteLine($"{name,-14} {value}");
    }

    private static string YesOrNo(bool value) => value ? "yes" : "no";
}
