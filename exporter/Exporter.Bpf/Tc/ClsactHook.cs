using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Tc;

/// <summary>
/// Direct-action filters on the clsact qdisc, for kernels before 6.6. The qdisc is made where there is none and never
/// deleted: others may have started to use it. Filters outlive a killed exporter; the next one finds them by name.
/// </summary>
/// <param name="priority">Lower runs earlier. Where another kind of classifier has it, the next free one is taken.</param>
public sealed class ClsactHook(PodTrafficPrograms programs, RouteClient client, ushort priority) : TcHook
{
    /// <summary>"pn" in ASCII; any number would do that nobody else is likely to use.</summary>
    private const uint FirstHandle = 0x706e;

    private const int Attempts = 16;

    public override string Name => "clsact";

    public override IDisposable? TryAttach(int ifindex, TcDirection direction)
    {
        switch (client.EnsureClsact(ifindex))
        {
            case 0:
                break;
            case Errno.ENODEV:
                return null;
            case var errno:
                throw new BpfException($"make a clsact qdisc on interface {ifindex}", errno);
        }
        return TryAdd(ifindex, direction) is { } filter ? new Filter(client, ifindex, direction, filter) : null;
    }

    public override bool IsAttached(int ifindex) => IsAttached(ifindex, TcDirection.Ingress) && IsAttached(ifindex, TcDirection.Egress);

    /// <summary>
    /// Removes the filters that a killed exporter left, with either hook in use now: they count into maps that nobody reads. Only
    /// filters with our programs' names are touched, and not the ones attached by this process.
    /// </summary>
    /// <returns>How many were removed.</returns>
    public int RemoveLeftovers()
    {
        var removed = 0;
        foreach (var ifindex in client.GetClsactInterfaces())
        {
            removed += RemoveLeftovers(ifindex, TcDirection.Ingress);
            removed += RemoveLeftovers(ifindex, TcDirection.Egress);
        }
        return removed;
    }

    private int RemoveLeftovers(int ifindex, TcDirection direction)
    {
        var program = programs.For(direction);
        return client.GetFilters(ifindex, direction).Count(filter =>
            filter.Name.StartsWith(NameOf(program), StringComparison.Ordinal)
            && filter.ProgramId != program.Id
            && client.DeleteFilter(ifindex, direction, filter) == 0);
    }

    private bool IsAttached(int ifindex, TcDirection direction) =>
        client.GetFilters(ifindex, direction).Any(filter => filter.ProgramId == programs.For(direction).Id);

    /// <summary>What tells our filters from everybody else's.</summary>
    private static string NameOf(BpfProgram program) => program.Name + ":";

    /// <summary>Null where the interface is gone.</summary>
    private TcFilter? TryAdd(int ifindex, TcDirection direction)
    {
        var program = programs.For(direction);
        var filter = new TcFilter(priority, FirstHandle, $"{NameOf(program)}[{program.Id}]", program.Id);
        for (var attempt = 1; ; attempt++)
        {
            var errno = client.SetFilter(ifindex, direction, filter, program.Fd, replace: false, out var reason);
            switch (errno)
            {
                case 0:
                    return filter;
                case Errno.ENODEV:
                    return null;
                case Errno.EEXIST when attempt < Attempts:
                    // Somebody else's filter has this handle.
                    filter = filter with { Handle = filter.Handle + 1 };
                    break;
                case Errno.EINVAL or Errno.ENOENT when attempt < Attempts && HasOtherKind(reason):
                    filter = filter with { Priority = (ushort)(filter.Priority + 1) };
                    break;
                default:
                    throw new BpfException($"attach {program.Name} to interface {ifindex} with clsact", errno, reason);
            }
        }
    }

    /// <summary>net/sched/cls_api.c, tc_new_tfilter: one priority has filters of one kind and protocol.</summary>
    private static bool HasOtherKind(string reason) =>
        reason.Contains("kind", StringComparison.Ordinal) || reason.Contains("protocol", StringComparison.Ordinal);

    private sealed class Filter(RouteClient client, int ifindex, TcDirection direction, TcFilter filter) : IDisposable
    {
        public void Dispose() => client.DeleteFilter(ifindex, direction, filter);
    }
}
