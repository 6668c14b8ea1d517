using System.Globalization;
using System.Net.Sockets;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Attach;

/// <summary>
/// Direct-action filters on the clsact qdisc, for kernels before 6.6. The qdisc is made where there is none and never
/// deleted: others may have started to use it. Where the interface has a qdisc of the kind ingress instead, only the ingress
/// direction can be attached. Filters outlive a killed exporter. Their names say whose they are (<see cref="FilterName"/>), and a socket that
/// the process binds says that it lives (<see cref="FilterClaim"/>). With pins the programs are pinned, and filters of a pinned program are
/// taken over.
/// </summary>
/// <param name="priority">Lower runs earlier. Where another kind of classifier has it, the next free one is taken.</param>
/// <param name="pins">Null: programs are not pinned.</param>
public sealed class ClsactAttacher(ProgramPair programs, ushort priority, PinDirectory? pins = null) : TcAttacher, IDisposable
{
    /// <summary>"pn" in ASCII; any number would do that other programs are unlikely to use.</summary>
    private const uint FirstHandle = 0x706e;

    private const int Attempts = 16;

    private readonly ProgramPair _programs = programs;
    private readonly TcClient _client = new();

    /// <summary>Claimed names by name (<see cref="FilterName.Claim"/>). Null: another process has the name.</summary>
    private readonly Dictionary<string, Socket?> _claims = [];

    public override string Name => "clsact";

    public override TcAttachment? TryAttach(int ifindex, TcDirection direction)
    {
        Claim();
        var problem = TryPin(_programs.For(direction));
        switch (_client.EnsureIngressQdisc(ifindex, out var qdisc))
        {
            case 0 when !qdisc.Directions().Contains(direction):
                throw new BpfException(
                    $"attach {_programs.For(direction).Name} to interface {ifindex} with clsact", Errno.EOPNOTSUPP,
                    "its qdisc ffff: is of the kind ingress, which has no egress; have its owner make a clsact instead, or use Linux 6.6 with Attach:Hook=tcx");
            case 0:
                return TryAdd(ifindex, direction) is { } filter ? new Attachment(this, ifindex, direction, filter) { PinProblem = problem } : null;
            case Errno.ENODEV:
                return null;
            case var errno:
                throw new BpfException($"make a clsact qdisc on interface {ifindex}", errno);
        }
    }

    /// <summary>A filter stays with its interface; its program is known by its id, which does not come back.</summary>
    public override IEnumerable<TcAttachment> Adopt(ICollection<Exception> problems)
    {
        var ids = StrayFilters.ReadPinned(pins, _programs.ProgramsPart);
        if (ids.Count > 0)
        {
            Claim();
            foreach (var (ifindex, qdisc) in _client.GetIngressQdiscs())
            {
                foreach (var direction in qdisc.Directions().ToArray())
                {
                    if (TryAdopt(ifindex, direction, ids, problems) is { } adopted)
                    {
                        yield return adopted;
                    }
                }
            }
        }
        // An earlier process may have used tcx.
        pins?.Remove(_programs.LinksPart);
    }

    public override int RemoveStrays()
    {
        var removed = RemoveStrays(_client, pins, _programs, _programs.Ingress.Id, _programs.Egress.Id);
        ForgetPinned();
        return removed;
    }

    public override void EndRenewal()
    {
        HashSet<string> current = [NameOf(_programs.Ingress).Claim, NameOf(_programs.Egress).Claim];
        foreach (var (name, claim) in _claims.Where(claim => !current.Contains(claim.Key)).ToList())
        {
            claim?.Dispose();
            _claims.Remove(name);
        }
        ForgetPinned();
    }

    public override bool IsAttached(int ifindex, TcDirection direction) =>
        _client.GetFilters(ifindex, direction).Any(filter => filter.ProgramId == _programs.For(direction).Id);

    public void Dispose()
    {
        foreach (var claim in _claims.Values)
        {
            claim?.Dispose();
        }
        _claims.Clear();
        _client.Dispose();
    }

    /// <summary>
    /// Takes over one filter, and deletes all others of the pinned programs, also those for the other direction: earlier versions attached such
    /// to a qdisc of the kind ingress. Null where there is none, or it cannot be taken over.
    /// </summary>
    private Attachment? TryAdopt(int ifindex, TcDirection direction, HashSet<int> ids, ICollection<Exception> problems)
    {
        Attachment? adopted = null;
        try
        {
            foreach (var filter in _client.GetFilters(ifindex, direction).Where(filter => ids.Contains(filter.ProgramId)))
            {
                if (adopted is null && FilterName.TryParse(filter.Name)?.Program == _programs.NameFor(direction))
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

    /// <summary>Pins the programs and binds their names, before a filter of theirs can be seen.</summary>
    private void Claim()
    {
        foreach (var program in (ReadOnlySpan<BpfProgram>)[_programs.Ingress, _programs.Egress])
        {
            var claim = NameOf(program).Claim;
            if (!_claims.ContainsKey(claim))
            {
                _ = TryPin(program);
                _claims[claim] = FilterClaim.TryBind(claim);
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
            pins!.MakePart(_programs.ProgramsPart);
            pins.Pin(program.Fd, PinName(program.Id));
        }
    }

    private bool IsPinned(BpfProgram program) => pins is null || pins.Has(PinName(program.Id)) || pins.IsLost;

    private string PinName(int program) => $"{_programs.ProgramsPart}/{program.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>Takes away the pins of programs that no filter runs any more. A pin that cannot be removed is left to the next process.</summary>
    private void ForgetPinned()
    {
        try
        {
            foreach (var id in StrayFilters.ReadPinned(pins, _programs.ProgramsPart).Where(id => id != _programs.Ingress.Id && id != _programs.Egress.Id))
            {
                pins!.Remove(PinName(id));
            }
        }
        catch (PinException)
        {
        }
    }

    private FilterName NameOf(BpfProgram program) => FilterName.Of(program, pins);

    /// <summary>Null where the interface is gone.</summary>
    private TcFilter? TryAdd(int ifindex, TcDirection direction)
    {
        var program = _programs.For(direction);
        var filter = new TcFilter(priority, FirstHandle, NameOf(program).Text, program.Id);
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
                    throw new BpfException(
                        $"attach {program.Name} to interface {ifindex} with clsact", errno, IsWithoutClassifier(errno, reason) ? KernelSupport.NoBpfClassifier : reason);
            }
        }
    }

    /// <summary>net/sched/cls_api.c, tc_new_tfilter: one priority has filters of one kind and protocol.</summary>
    private static bool HasOtherKind(string reason) =>
        reason.Contains("kind", StringComparison.Ordinal) || reason.Contains("protocol", StringComparison.Ordinal);

    /// <summary>net/sched/cls_api.c, tcf_proto_lookup_ops.</summary>
    private static bool IsWithoutClassifier(int errno, string reason) =>
        errno == Errno.ENOENT && reason.Contains("classifier not found", StringComparison.Ordinal);

    private sealed class Attachment(ClsactAttacher attacher, int ifindex, TcDirection direction, TcFilter filter) : TcAttachment(ifindex, direction)
    {
        private TcFilter _filter = filter;

        public override void Renew()
        {
            attacher.Claim();
            var program = attacher._programs.For(Direction);
            var renewed = _filter with { Name = attacher.NameOf(program).Text, ProgramId = program.Id };
            var errno = attacher._client.ReplaceFilter(Ifindex, Direction, renewed, program.Fd, out var reason);
            if (errno != 0)
            {
                throw new BpfException($"put {program.Name} in its predecessor's place on interface {Ifindex}", errno, reason);
            }
            _filter = renewed;
        }

        public override bool IsPinned => attacher.IsPinned(attacher._programs.For(Direction));

        public override void Pin() => attacher.Pin(attacher._programs.For(Direction));

        public override void Dispose()
        {
            // Somebody may have removed it and put another in its place.
            if (attacher._client.GetFilters(Ifindex, Direction).Contains(_filter))
            {
                attacher._client.DeleteFilter(Ifindex, Direction, _filter);
            }
        }
    }
}
