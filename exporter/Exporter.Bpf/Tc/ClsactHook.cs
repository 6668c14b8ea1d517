using System.Net.Sockets;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Tc;

/// <summary>
/// Direct-action filters on the clsact qdisc, for kernels before 6.6. The qdisc is made where there is none and never
/// deleted: others may have started to use it. Filters outlive a killed exporter; the next one finds them by name, and by the
/// socket of that name, which a living exporter has bound, whether it is still somebody's.
/// </summary>
/// <param name="priority">Lower runs earlier. Where another kind of classifier has it, the next free one is taken.</param>
public sealed class ClsactHook(PodTrafficPrograms programs, RouteClient client, ushort priority) : TcHook, IDisposable
{
    /// <summary>"pn" in ASCII; any number would do that nobody else is likely to use.</summary>
    private const uint FirstHandle = 0x706e;

    private const int Attempts = 16;

    private readonly Socket?[] _claims = [Claim(FilterName(programs.Transmit)), Claim(FilterName(programs.Receive))];

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

    public void Dispose() => Array.ForEach(_claims, claim => claim?.Dispose());

    /// <summary>
    /// Removes the filters that a killed exporter left, with either hook in use now: they count into maps that nobody reads. Only
    /// filters with our programs' names are touched, and not those of an exporter that still runs.
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

    private int RemoveLeftovers(int ifindex, TcDirection direction) =>
        client.GetFilters(ifindex, direction).Count(filter =>
            filter.Name.StartsWith(programs.For(direction).Name + ":", StringComparison.Ordinal)
            && !IsClaimed(filter.Name)
            && client.DeleteFilter(ifindex, direction, filter) == 0);

    /// <summary>
    /// Binds the filters' name in the abstract namespace of unix(7), which belongs to the network namespace, as the interfaces do, and
    /// ends with the process. Null where somebody has it.
    /// </summary>
    private static Socket? Claim(string name)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint('\0' + name));
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    private static bool IsClaimed(string name)
    {
        using var claim = Claim(name);
        return claim is null;
    }

    private bool IsAttached(int ifindex, TcDirection direction) =>
        client.GetFilters(ifindex, direction).Any(filter => filter.ProgramId == programs.For(direction).Id);

    /// <summary>What tells our filters from everybody else's, and one exporter's from another's: no two loaded programs have one id.</summary>
    private static string FilterName(BpfProgram program) => $"{program.Name}:[{program.Id}]";

    /// <summary>Null where the interface is gone.</summary>
    private TcFilter? TryAdd(int ifindex, TcDirection direction)
    {
        var program = programs.For(direction);
        var filter = new TcFilter(priority, FirstHandle, FilterName(program), program.Id);
        for (var attempt = 1; ; attempt++)
        {
            var errno = client.AddFilter(ifindex, direction, filter, program.Fd, out var reason);
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
        public void Dispose()
        {
            // Somebody may have removed it and put another in its place.
            if (client.GetFilters(ifindex, direction).Contains(filter))
            {
                client.DeleteFilter(ifindex, direction, filter);
            }
        }
    }
}
