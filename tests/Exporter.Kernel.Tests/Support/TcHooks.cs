using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;

namespace Exporter.Kernel.Tests.Support;

internal static class TcHooks
{
    /// <summary>Attaches both programs, to an interface that is there, until it is disposed.</summary>
    internal static IDisposable AttachBoth(this TcAttacher hook, int ifindex) =>
        new Both(Attach(hook, ifindex, TcDirection.Ingress), Attach(hook, ifindex, TcDirection.Egress));

    /// <summary>The tcx programs on an interface, whosever they are.</summary>
    internal static int CountPrograms(int ifindex) => TcxAttacher.CountPrograms(ifindex, TcDirection.Ingress) + TcxAttacher.CountPrograms(ifindex, TcDirection.Egress);

    private static TcAttachment Attach(TcAttacher hook, int ifindex, TcDirection direction) =>
        hook.TryAttach(ifindex, direction) ?? throw new InvalidOperationException($"Interface {ifindex} is gone");

    private sealed class Both(IDisposable ingress, IDisposable egress) : IDisposable
    {
        public void Dispose()
        {
            ingress.Dispose();
            egress.Dispose();
        }
    }
}
