using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Native;
using Exporter.Signals.Objects;

namespace Exporter.Interfaces;

/// <summary>Attaches the programs of another object in the place of the current ones, on every interface or on none. For the reconciler alone.</summary>
internal sealed class ProgramExchange(InterfaceContext context, AfterDrains afterDrains)
{
    /// <exception cref="KernelException">It is refused; the current programs stay.</exception>
    internal void Replace(PacketObject packets, byte[] elf, IEnumerable<TcAttachment> attached)
    {
        var previous = packets.Replace(elf);
        var renewed = new List<TcAttachment>();
        try
        {
            foreach (var one in attached)
            {
                if (TryRenew(one))
                {
                    renewed.Add(one);
                }
            }
        }
        catch (KernelException)
        {
            var refused = packets.Replace(previous);
            renewed.ForEach(GoBack);
            context.Attacher.EndRenewal();
            refused.Dispose();
            throw;
        }
        context.Attacher.EndRenewal();
        // A drain may still be reading the statistics of its programs.
        afterDrains.Add(previous.Dispose);
    }

    /// <summary>An interface that cannot go back keeps the programs that were refused elsewhere, which count into the same maps.</summary>
    private void GoBack(TcAttachment attached)
    {
        try
        {
            TryRenew(attached);
        }
        catch (KernelException e)
        {
            context.Metrics.CountAttachError(e.Reason);
        }
    }

    /// <summary>Whether the interface is still there.</summary>
    private bool TryRenew(TcAttachment attached)
    {
        try
        {
            attached.Renew();
            return true;
        }
        catch (BpfException) when (context.Client.GetLink(attached.Ifindex) is null)
        {
            return false;
        }
    }
}
