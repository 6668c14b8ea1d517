using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Interfaces;
using Exporter.Kubernetes;
using Exporter.Kubernetes.Access;
using Exporter.Options;
using Exporter.Signals.Objects;

namespace Exporter.Commands;

/// <summary>podnet-exporter check: what this kernel offers, what this process may do, and what would be used.</summary>
internal static class CheckCommand
{
    private static readonly TimeSpan ApiPatience = TimeSpan.FromSeconds(5);

    internal static async Task<int> RunAsync(ExporterOptions options, TextWriter output)
    {
        var missing = Prerequisites.FindMissing();
        var lacks = Capabilities.Missing();
        var mayAsk = !lacks.Contains(Capability.Bpf) && !lacks.Contains(Capability.NetAdmin);

        Line("kernel", $"{KernelSupport.Release} ({EnumText.Lower(RuntimeInformation.ProcessArchitecture)}){(KernelSupport.MayLoseCounts ? $"; {KernelSupport.LosesCounts}" : "")}");
        Line("BTF", YesOrNo(KernelSupport.HasBtf));
        Line("tcx", mayAsk ? YesOrNo(KernelSupport.HasTcx) : "unknown without CAP_BPF and CAP_NET_ADMIN");
        Line("kprobes", YesOrNo(KernelSupport.HasKprobes));
        Line("lockdown", KernelSupport.Lockdown ?? "none");
        var confinement = Confinement.Read();
        Line("SELinux", confinement.SeLinuxContext is { } context ? $"enforced, this process is {context}" : "not enforced");
        Line("AppArmor", confinement.AppArmorProfile ?? "no enforced profile");
        Line("seccomp", confinement.HasSeccompFilter ? "this process has a filter" : "no filter");
        Line("bpffs", YesOrNo(KernelSupport.HasBpfFileSystem));
        foreach (var capability in Enum.GetValues<Capability>())
        {
            Line(capability.Name(), lacks.Contains(capability) ? "missing" : "yes");
        }

        if (missing.Count == 0)
        {
            try
            {
                using var packets = PacketObject.Load(options.PlanPacketMaps());
                Line("programs", "accepted by the kernel");
                var hook = Prerequisites.ChooseHook(options.Attach.Hook, out var problem);
                if (problem is null && hook == TcAttachOption.Clsact && !KernelSupport.HasBpfClassifier)
                {
                    problem = KernelSupport.NoBpfClassifier;
                }
                if (problem is null)
                {
                    Line("hook", $"{EnumText.Lower(hook)} will be used");
                }
                else
                {
                    missing = [problem];
                }
                CheckSignals(options, packets, programs => NodeKernel.Attach(options.Attach, hook, programs, pins: null), Line);
            }
            catch (BpfException e)
            {
                missing = [Prerequisites.Explain(e)];
            }
        }
        var identity = await AskForPodsAsync(options);
        Line("identity", identity.Answer);
        var plan = options.CreatePlan();
        Line("series", $"{plan.MaxSeries} sample lines, room for {plan.Capacity} {EnumText.Lower(options.Metrics.Aggregation)}s that use everything, or {plan.CapacityOf(DemoPods.Mix)} like the demo's");
        foreach (var problem in missing)
        {
            output.WriteLine(problem);
        }
        return missing.Count == 0 ? identity.ExitCode : ExitCode.NotSupported;

        void Line(string name, string value) => output.WriteLine($"{name,-14} {value}");
    }

    /// <summary>Loads each signal as the exporter would, and detaches it at once.</summary>
    private static void CheckSignals(ExporterOptions options, PacketObject packets, Func<ProgramPair, TcAttacher> attach, Action<string, string> line)
    {
        var namespaces = Task.Run(NetNamespaces.Load);
        Task.WhenAny(namespaces).Wait();
        using var found = namespaces.IsCompletedSuccessfully ? namespaces.Result : null;
        foreach (var signal in options.Signals)
        {
            using var loaded = signal.Load(new(options.Bpf, Task.FromResult(packets), Pins: null, static _ => false, attach, namespaces));
            foreach (var (name, text) in loaded.CheckLines)
            {
                line(name, text);
            }
        }
    }

    /// <summary>Asks the API server as the exporter would.</summary>
    internal static async Task<(string Answer, int ExitCode)> AskForPodsAsync(ExporterOptions options)
    {
        using var api = Prerequisites.OpenApi(options, out var problem);
        if (problem is not null)
        {
            return (problem, ExitCode.BadOptions);
        }
        if (api is null)
        {
            return ("standalone will be used", ExitCode.Success);
        }
        var pods = new ResourceApi<PodDocument>(api.SendAsync, api.Server, PodDocument.OfNode(options.Kubernetes.FindNodeName()!));
        try
        {
            // What a plugin takes is not the API server's silence; the plugin has a limit of its own.
            await api.AuthenticateAsync(CancellationToken.None);
            using var patience = new CancellationTokenSource(ApiPatience);
            var page = await pods.ListAsync(continueToken: null, ResourceApi<PodDocument>.AnyAge, static () => { }, patience.Token);
            return ($"kubernetes will be used; {page.Items?.Count ?? 0} {pods.Resource} at {pods.Server}", ExitCode.Success);
        }
        catch (Exception e)
        {
            return ($"kubernetes will be used, but {pods.Server} cannot be asked for the {pods.Resource}: {Failure.Describe(e)}", ExitCode.Failure);
        }
    }

    private static string YesOrNo(bool value) => value ? "yes" : "no";
}
