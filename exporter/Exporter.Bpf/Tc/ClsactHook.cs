using System.Globalization;
using System.Net.Sockets;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Tc;

/// <summary>
/// Direct-action filters on the clsact qdisc, for kernels before 6.6. The qdisc is made where there is none and never
/// deleted: others may have started to use it. Filters outlive a killed exporter; the next one finds them by name, and by the
/// socket of that name, which a living exporter has bound, whether it is still somebody's. With pins the programs are pinned, and filters
/// of a pinned program are taken over.
/// </summary>
/// <param name="priority">Lower runs earlier. Where another kind of classifier has it, the next free one is taken.</param>
/// <param name="pins">Null: programs are not pinned.</param>
public sealed class ClsactHook(PodTrafficPrograms programs, RouteClient client, ushort priority, PinDirectory? pins = null) : TcHook, IDisposable
{
    /// <summary>"pn" in ASCII; any number would do that nobody else is likely to use.</summary>
    private const uint FirstHandle = 0x706e;

    private const int Attempts = 16;

    private const string ProgramsPart = "filters";

    private static readonly string[] ProgramNames = ["podnet_transmit", "podnet_receive"];

    private readonly PodTrafficPrograms _programs = programs;
    private readonly RouteClient _client = client;

    /// <summary>By the names of filters. Null: somebody else has the name.</summary>
    private readonly Dictionary<string, Socket?> _claims = [];

    public override string Name => "clsact";

    public override TcAttachment? TryAttach(int ifindex, TcDirection direction)
    {
        Claim();
        var problem = TryPin(_programs.For(direction));
        switch (_client.EnsureClsact(ifindex))
        {
            case 0:
                break;
            case Errno.ENODEV:
                return null;
            case var errno:
                throw new BpfException($"make a clsact qdisc on interface {ifindex}", errno);
        }
        return TryAdd(ifindex, direction) is { } filter ? new Attachment(this, ifindex, direction, filter) { PinProblem = problem } : null;
    }

    /// <summary>A filter stays with its interface; its program is known by its id, which does not come back.</summary>
    public override IEnumerable<TcAttachment> Adopt(ICollection<Exception> problems)
    {
        var ids = ReadPinned();
        if (ids.Count > 0)
        {
            Claim();
            foreach (var ifindex in _client.GetClsactInterfaces())
            {
                foreach (var direction in (TcDirection[])[TcDirection.Ingress, TcDirection.Egress])
                {
                    if (TryAdopt(ifindex, direction, ids, problems) is { } adopted)
                    {
                        yield return adopted;
                    }
                }
            }
            ForgetPinned();
        }
        if (pins is not null)
        {
            TcxHook.RemovePinned(pins);
        }
    }

    public override void EndRenewal()
    {
        foreach (var (name, claim) in _claims.Where(claim => claim.Key != FilterName(_programs.Transmit) && claim.Key != FilterName(_programs.Receive)).ToList())
        {
            claim?.Dispose();
            _claims.Remove(name);
        }
        try
        {
            ForgetPinned();
        }
        catch (PinException)
        {
            // They are forgotten by the next process.
        }
    }

    public override bool IsAttached(int ifindex) => IsAttached(ifindex, TcDirection.Ingress) && IsAttached(ifindex, TcDirection.Egress);

    public void Dispose()
    {
        foreach (var claim in _claims.Values)
        {
            claim?.Dispose();
        }
        _claims.Clear();
    }

    /// <summary>
    /// Removes the filters that a killed exporter left, with either hook in use now: they count into maps that nobody reads. Only
    /// filters with our programs' names are touched, and not those of an exporter that still runs.
    /// </summary>
    /// <returns>How many were removed.</returns>
    public static int RemoveLeftovers(RouteClient client)
    {
        var removed = 0;
        foreach (var ifindex in client.GetClsactInterfaces())
        {
            removed += RemoveLeftovers(client, ifindex, TcDirection.Ingress);
            removed += RemoveLeftovers(client, ifindex, TcDirection.Egress);
        }
        return removed;
    }

    /// <summary>Forgets which programs were pinned: their filters are left to <see cref="RemoveLeftovers(RouteClient)"/>.</summary>
    public static void RemovePinned(PinDirectory pins) => pins.Remove(ProgramsPart);

    private static int RemoveLeftovers(RouteClient client, int ifindex, TcDirection direction)
    {
        var name = ProgramNames[(int)direction];
        return client.GetFilters(ifindex, direction).Count(filter =>
            filter.Name.StartsWith(name + ":", StringComparison.Ordinal)
            && !IsClaimed(filter.Name)
            && client.DeleteFilter(ifindex, direction, filter) == 0);
    }

    /// <summary>Takes over one filter, and deletes all others of the pinned programs. Null where there is none, or it cannot be taken over.</summary>
    private Attachment? TryAdopt(int ifindex, TcDirection direction, HashSet<int> ids, ICollection<Exception> problems)
    {
        Attachment? adopted = null;
        try
        {
            foreach (var filter in _client.GetFilters(ifindex, direction).Where(filter => ids.Contains(filter.ProgramId)))
            {
                if (adopted is null)
                {
                    var attachment = new Attachment(this, ifindex, direction, filter);
                    try
                    {
                        attachment.Renew();
                        adopted = attachment;
                        continue;
                    }
                    catch (BpfException e)
                    {
                        problems.Add(e);
                    }
                }
                _client.DeleteFilter(ifindex, direction, filter);
            }
        }
        catch (NetlinkException e)
        {
            problems.Add(e);
        }
        return adopted;
    }

    /// <summary>Before a filter of theirs can be seen, that it is somebody's.</summary>
    private void Claim()
    {
        foreach (var program in (ReadOnlySpan<BpfProgram>)[_programs.Transmit, _programs.Receive])
        {
            var name = FilterName(program);
            if (!_claims.ContainsKey(name))
            {
                _ = TryPin(program);
                _claims[name] = Claim(name);
            }
        }
    }

    /// <summary>Returns why it cannot be pinned, or null.</summary>
    private string? TryPin(BpfProgram program)
    {
        try
        {
            Pin(program);
            return null;
        }
        catch (PinException e)
        {
            return e.Message;
        }
    }

    /// <summary>Nothing is pinned in a directory that no other process would find.</summary>
    private void Pin(BpfProgram program)
    {
        if (!IsPinned(program))
        {
            pins!.MakePart(ProgramsPart);
            pins.Pin(program.Fd, PinName(program));
        }
    }

    private bool IsPinned(BpfProgram program) => pins is null || pins.Has(PinName(program)) || pins.IsLost;

    private static string PinName(BpfProgram program) => $"{ProgramsPart}/{program.Id.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>The ids of the programs whose filters are taken over. An id does not come back while the program is pinned.</summary>
    private HashSet<int> ReadPinned() =>
        [.. (pins?.List(ProgramsPart) ?? []).Select(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0).Where(id => id > 0)];

    /// <summary>No filter has any other than those of now.</summary>
    private void ForgetPinned()
    {
        foreach (var id in ReadPinned().Where(id => id != _programs.Transmit.Id && id != _programs.Receive.Id))
        {
            pins!.Remove($"{ProgramsPart}/{id.ToString(CultureInfo.InvariantCulture)}");
        }
    }

    /// <summary>
    /// Binds the filters' name in the abstract namespace of unix(7), which belongs to the network namespace, as the interfaces do, and
    /// ends with the process. Null where somebody has it.
    /// </summary>
    private static Socket? Claim(string name)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.Bind(new UnixDomainSocketEndPoint('\0' + name));
            return socket;
        }
        catch (SocketException)
        {
            // Or there are no descriptors left: then it is not known whose it is, and nothing is removed.
            socket?.Dispose();
            return null;
        }
    }

    private static bool IsClaimed(string name)
    {
        using var claim = Claim(name);
        return claim is null;
    }

    private bool IsAttached(int ifindex, TcDirection direction) =>
        _client.GetFilters(ifindex, direction).Any(filter => filter.ProgramId == _programs.For(direction).Id);

    /// <summary>What tells our filters from everybody else's, and one exporter's from another's: no two loaded programs have one id.</summary>
    private static string FilterName(BpfProgram program) => $"{program.Name}:[{program.Id}]";

    /// <summary>Null where the interface is gone.</summary>
    private TcFilter? TryAdd(int ifindex, TcDirection direction)
    {
        var program = _programs.For(direction);
        var filter = new TcFilter(priority, FirstHandle, FilterName(program), program.Id);
        for (var attempt = 1; ; attempt++)
        {
            var errno = _client.AddFilter(ifindex, direction, filter, program.Fd, out var reason);
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

    private sealed class Attachment(ClsactHook hook, int ifindex, TcDirection direction, TcFilter filter) : TcAttachment(ifindex, direction)
    {
        private TcFilter _filter = filter;

        public override void Renew()
        {
            hook.Claim();
            var program = hook._programs.For(Direction);
            var renewed = _filter with { Name = FilterName(program), ProgramId = program.Id };
            var errno = hook._client.ReplaceFilter(Ifindex, Direction, renewed, program.Fd, out var reason);
            if (errno != 0)
            {
                throw new BpfException($"put {program.Name} in its predecessor's place on interface {Ifindex}", errno, reason);
            }
            _filter = renewed;
        }

        public override bool IsPinned => hook.IsPinned(hook._programs.For(Direction));

        public override void Pin() => hook.Pin(hook._programs.For(Direction));

        public override void Dispose()
        {
            // Somebody may have removed it and put another in its place.
            if (hook._client.GetFilters(Ifindex, Direction).Contains(_filter))
            {
                hook._client.DeleteFilter(Ifindex, Direction, _filter);
            }
        }
    }
}
