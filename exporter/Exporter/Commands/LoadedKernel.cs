using Exporter.Bpf;
using Exporter.Handshakes;
using Exporter.Options;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>What is in the kernel for one process: the programs and their maps, those of a former process among them, and the ledger.</summary>
internal sealed record LoadedKernel(Ledger Ledger, PodTrafficPrograms Traffic, HandshakeAttachment Handshakes, PinDirectory? Pins) : IDisposable
{
    /// <param name="pins">Becomes null where nothing can be pinned.</param>
    /// <param name="unpinned">Then, why.</param>
    /// <exception cref="BpfException">The kernel refused the programs.</exception>
    internal static LoadedKernel Load(ExporterOptions options, ref PinDirectory? pins, ref string unpinned)
    {
        if (pins is not null)
        {
            try
            {
                PinnedState.RemoveForeign(pins);
                return Load(options, pins);
            }
            catch (PinException e)
            {
                pins.Dispose();
                (pins, unpinned) = (null, e.Message);
            }
        }
        return Load(options, null);
    }

    /// <summary>The start has failed: what was not there before is removed.</summary>
    internal void Abandon()
    {
        if (Pins is not null && !Ledger.IsRestored)
        {
            Handshakes.Dispose();
            TcpHandshakePrograms.RemovePinned(Pins);
            Pins.RemoveAll();
        }
    }

    /// <summary>What is pinned goes on.</summary>
    public void Dispose()
    {
        if (Pins is null)
        {
            Handshakes.Dispose();
        }
        Traffic.Dispose();
        Ledger.Dispose();
    }

    private static LoadedKernel Load(ExporterOptions options, PinDirectory? pins)
    {
        var ledger = Ledger.Open(pins);
        // libbpf reads the kernel's types anew for each object, which is most of what a start takes: both at once.
        var attaching = Task.Run(() => HandshakeHooks.Attach(options.Handshake, options.Bpf, pins, ledger.IsKept));
        PodTrafficPrograms? traffic = null;
        try
        {
            traffic = PodTrafficPrograms.Load(options.Bpf.MaxInterfaces, pins, ledger.IsKept);
            var handshakes = attaching.GetAwaiter().GetResult();
            ledger.KeepOnly([.. traffic.Pairs, .. handshakes.Programs?.Pairs ?? []]);
            return new(ledger, traffic, handshakes, pins);
        }
        catch
        {
            attaching.ContinueWith(static task => task.Result.Dispose(), TaskContinuationOptions.OnlyOnRanToCompletion).Wait();
            traffic?.Dispose();
            ledger.Dispose();
            throw;
        }
    }
}
