using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Bpf.Tc;
using Exporter.Discovery;
using Exporter.Handshakes;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>
/// What is in the kernel for one process: the programs and their maps, those of a former process among them, and the ledger. With pins all of
/// it is there for the next process, too.
/// </summary>
internal sealed class NodeKernel : IDisposable
{
    private readonly TcClient _client = new();

    private NodeKernel(ExporterOptions options, HookChoice hook, PinDirectory? pins, Ledger ledger, PodTrafficPrograms traffic, HandshakeAttachment handshakes, NetNamespaces? namespaces)
    {
        (Pins, Ledger, Traffic, Handshakes, Namespaces) = (pins, ledger, traffic, handshakes, namespaces);
        Hook = hook == HookChoice.Tcx ? new TcxHook(traffic, pins) : new ClsactHook(traffic, _client, options.Attach.Priority, pins);
    }

    /// <summary>Null where nothing is pinned.</summary>
    internal PinDirectory? Pins { get; }

    /// <summary>What was found and done in the directory of pins.</summary>
    internal PinnedLayout Layout { get; private set; }

    internal Ledger Ledger { get; }

    internal PodTrafficPrograms Traffic { get; }

    internal HandshakeAttachment Handshakes { get; }

    /// <summary>Null where the kernel refuses to say which network namespace is which.</summary>
    internal NetNamespaces? Namespaces { get; }

    internal TcHook Hook { get; }

    /// <param name="pins">Null: nothing is pinned.</param>
    /// <param name="unpinned">Why nothing is pinned, where it is not.</param>
    /// <exception cref="BpfException">The kernel refused the programs.</exception>
    internal static NodeKernel Load(ExporterOptions options, HookChoice hook, PinDirectory? pins, ref string unpinned)
    {
        if (pins is not null)
        {
            try
            {
                var layout = PinnedState.TakeOver(pins);
                var kernel = Load(options, hook, pins);
                kernel.Layout = layout;
                return kernel;
            }
            catch (PinException e)
            {
                unpinned = e.Message;
            }
        }
        return Load(options, hook, null);
    }

    /// <summary>Nothing of it counts from now on, once what has the hook's attachments has disposed them: also what is pinned.</summary>
    internal void Detach()
    {
        Handshakes.Dispose();
        (Hook as IDisposable)?.Dispose();
    }

    /// <summary>What is pinned goes on.</summary>
    public void Dispose()
    {
        if (Pins is null or { IsLost: true })
        {
            Handshakes.Dispose();
        }
        (Hook as IDisposable)?.Dispose();
        Traffic.Dispose();
        Namespaces?.Dispose();
        Ledger.Dispose();
        _client.Dispose();
    }

    private static NodeKernel Load(ExporterOptions options, HookChoice hook, PinDirectory? pins)
    {
        var ledger = Ledger.Open(pins, AllSignals.Rows);
        // libbpf reads the kernel's types for each object, which is most of what a start takes: all at once.
        var finding = Task.Run(LoadNamespaces);
        var attaching = Task.Run(() => HandshakeHooks.Attach(options.Handshake, options.Bpf, pins, ledger.IsCommitted));
        PodTrafficPrograms? traffic = null;
        try
        {
            traffic = PodTrafficPrograms.Load(options.Bpf.MaxInterfaces, pins, ledger.IsCommitted);
            var handshakes = attaching.GetAwaiter().GetResult();
            var (namespaces, problem) = finding.GetAwaiter().GetResult();
            if (namespaces is null && handshakes.Programs is not null)
            {
                // Nobody would know whose they are.
                handshakes.Dispose();
                handshakes = new(null, false, [problem], "");
            }
            // Handshakes that are off now may be counted again after the next start.
            ledger.ForgetOthers([.. traffic.Pairs, .. handshakes.Programs?.Pairs ?? (pins is null ? [] : TcpHandshakePrograms.FindPairs(pins))]);
            return new(options, hook, pins, ledger, traffic, handshakes, namespaces);
        }
        catch
        {
            attaching.ContinueWith(static task =>
            {
                if (task.IsCompletedSuccessfully)
                {
                    task.Result.Dispose();
                }
            }).Wait();
            finding.GetAwaiter().GetResult().Namespaces?.Dispose();
            traffic?.Dispose();
            ledger.Dispose();
            throw;
        }
    }

    private static (NetNamespaces? Namespaces, string Problem) LoadNamespaces()
    {
        try
        {
            return (NetNamespaces.Load(), "");
        }
        catch (BpfException e)
        {
            return (null, $"network namespaces: {e.Message}");
        }
    }
}
