using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Native;

namespace Exporter.Signals.Uplinks;

/// <summary>Attaches the programs of another object in the place of the current ones. Used by one thread at a time.</summary>
internal static class UplinkExchange
{
    /// <summary>Renews on every interface that is there, or on none. The programs own the next object from now on, where it is not refused.</summary>
    /// <param name="next">Disposed where it is refused.</param>
    /// <exception cref="KernelException">It is refused; the current programs stay.</exception>
    internal static void Replace(UplinkPrograms programs, BpfObject next, IReadOnlyList<Uplink> uplinks)
    {
        var previous = programs.Replace(next);
        var renewed = new List<Action>();
        try
        {
            foreach (var renew in uplinks.SelectMany(uplink => RenewalsOf(uplink, programs)))
            {
                if (TryRenew(renew))
                {
                    renewed.Add(renew);
                }
            }
        }
        catch
        {
            var refused = programs.Replace(previous);
            renewed.ForEach(GoBack);
            programs.Tc.EndRenewal();
            refused.Dispose();
            throw;
        }
        programs.Tc.EndRenewal();
        previous.Dispose();
    }

    private static IEnumerable<Action> RenewalsOf(Uplink uplink, UplinkPrograms programs)
    {
        foreach (var attachment in (TcAttachment?[])[uplink.Ingress, uplink.Egress])
        {
            if (attachment is not null)
            {
                yield return attachment.Renew;
            }
        }
        if (uplink.Xdp is { } xdp)
        {
            yield return () => xdp.Renew(programs.Receive);
        }
    }

    /// <summary>Returns false where the interface, or its programs, have just gone: the loop attaches the new programs, if it comes back.</summary>
    private static bool TryRenew(Action renew)
    {
        try
        {
            renew();
            return true;
        }
        catch (KernelException e) when (e.ErrorNumber is Errno.ENOLINK or Errno.ENODEV)
        {
            return false;
        }
    }

    /// <summary>An interface that cannot go back keeps the programs that were refused elsewhere, which count into the same maps.</summary>
    private static void GoBack(Action renew)
    {
        try
        {
            renew();
        }
        catch (KernelException)
        {
        }
    }
}
