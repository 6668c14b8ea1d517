using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Edges;
using Exporter.Interfaces;
using Exporter.Signals;
using Exporter.Signals.Objects;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>
/// State in the kernel for one process: the programs and their maps, also maps of a previous process, and the ledger. With pins all of
/// it is there for the next process, too.
/// </summary>
internal sealed class NodeKernel : IDisposable
{
    private NodeKernel(PinDirectory? pins, Ledger ledger, PacketObject packets, IReadOnlyList<LoadedSignal> signals, NetNamespaces? namespaces, TcAttacher attacher) =>
        (Pins, Ledger, Packets, Signals, Namespaces, Attacher) = (pins, ledger, packets, signals, namespaces, attacher);

    /// <summary>Null where nothing is pinned.</summary>
    internal PinDirectory? Pins { get; }

    /// <summary>The state of the directory of pins when it was taken over.</summary>
    internal PinnedLayout Layout { get; private set; }

    internal Ledger Ledger { get; }

    internal PacketObject Packets { get; }

    /// <summary>The loaded signals, in the order of the options' signals.</summary>
    internal IReadOnlyList<LoadedSignal> Signals { get; }

    /// <summary>Null where the kernel refuses to say which network namespace is which.</summary>
    internal NetNamespaces? Namespaces { get; }

    internal TcAttacher Attacher { get; }

    /// <summary>The objects that can be replaced.</summary>
    internal IReadOnlyList<IReplaceable> Objects => [Packets, .. Signals.Select(signal => signal.Object).OfType<IReplaceable>()];

    /// <param name="pins">Null: nothing is pinned.</param>
    /// <param name="unpinned">Why nothing is pinned, where it is not.</param>
    /// <exception cref="BpfException">The kernel refused the programs.</exception>
    internal static NodeKernel Load(ExporterOptions options, TcAttachOption hook, PinDirectory? pins, ref string unpinned)
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

    /// <summary>Makes the way that a pair of programs is attached to interfaces by.</summary>
    internal static TcAttacher Attach(AttachOptions options, TcAttachOption hook, ProgramPair programs, PinDirectory? pins) =>
        hook == TcAttachOption.Tcx ? new TcxAttacher(programs, pins) : new ClsactAttacher(programs, options.Priority, pins);

    /// <summary>Detaches all programs, also pinned ones, once the owner of attachments to interfaces has disposed them.</summary>
    internal void Detach()
    {
        foreach (var signal in Signals)
        {
            signal.Detach();
        }
        (Attacher as IDisposable)?.Dispose();
    }

    /// <summary>Leaves pinned programs attached.</summary>
    public void Dispose()
    {
        foreach (var signal in Signals)
        {
            signal.Dispose();
        }
        (Attacher as IDisposable)?.Dispose();
        Packets.Dispose();
        Namespaces?.Dispose();
        Ledger.Dispose();
    }

    /// <summary>libbpf reads the kernel's types for each object, which is most of a start's time: so all objects are loaded at once.</summary>
    private static NodeKernel Load(ExporterOptions options, TcAttachOption hook, PinDirectory? pins)
    {
        IEnumerable<RowFields> unused = options.Signals.Where(signal => !signal.IsOn).Select(signal => signal.Fields);
        var ledger = Ledger.Open(pins, [.. options.Signals.Select(signal => signal.Fields), EdgeRow.Fields], [.. options.Edges.IsOn ? unused : unused.Append(EdgeRow.Fields)]);
        var namespaces = Task.Run(NetNamespaces.Load);
        var packets = Task.Run(() => PacketObject.Load(options.PlanPacketMaps(), pins));
        var context = new LoadContext(options.Bpf, packets, pins, ledger.IsCommitted, Attach, namespaces);
        List<Task<LoadedSignal>> loading = [.. options.Signals.Select(signal => Task.Run(() => signal.Load(context)))];
        try
        {
            Task.WhenAny(namespaces).Wait();
            Task.WhenAll([packets, .. loading]).GetAwaiter().GetResult();
            IReadOnlyList<LoadedSignal> signals = [.. loading.Select(task => task.Result)];
            ledger.ForgetOthers([.. signals.SelectMany(signal => signal.Pairs)]);
            return new(pins, ledger, packets.Result, signals, namespaces.IsCompletedSuccessfully ? namespaces.Result : null, Attach(packets.Result.Pair));
        }
        catch
        {
            foreach (var loaded in loading.Where(task => task.IsCompletedSuccessfully).Select(task => task.Result))
            {
                loaded.Dispose();
            }
            Dispose(packets);
            Dispose(namespaces);
            ledger.Dispose();
            throw;
        }

        TcAttacher Attach(ProgramPair programs) => NodeKernel.Attach(options.Attach, hook, programs, pins);
    }

    private static void Dispose<T>(Task<T> loading)
        where T : IDisposable
    {
        if (loading.IsCompletedSuccessfully)
        {
            loading.Result.Dispose();
        }
    }
}
