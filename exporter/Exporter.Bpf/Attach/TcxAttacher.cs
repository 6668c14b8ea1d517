using System.Globalization;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Attach;

/// <summary>
/// tcx links (Linux 6.6), at the head of the chain: a program before ours could end it, and its packets would be missed. A
/// link ends with its file descriptor, so a killed exporter leaves nothing, unless it is pinned.
/// </summary>
/// <param name="pins">Null: links are not pinned.</param>
public sealed unsafe class TcxAttacher(ProgramPair programs, PinDirectory? pins = null) : TcAttacher
{
    /// <summary>Before the program it is given relative to, and without one at the head (include/uapi/linux/bpf.h).</summary>
    internal const uint BPF_F_BEFORE = 1 << 3;

    /// <summary>More programs than the kernel allows on one hook (include/linux/bpf_mprog.h, BPF_MPROG_MAX).</summary>
    private const int MaxPrograms = 64;

    /// <summary>The end of the names of folders of pinned links.</summary>
    internal const string LinksPart = "links";

    /// <summary>A pause in which others can take the kernel's lock.</summary>
    private static readonly TimeSpan Courtesy = TimeSpan.FromMilliseconds(1);

    private readonly ProgramPair _programs = programs;
    private readonly PinDirectory? _pins = pins;

    public override string Name => "tcx";

    /// <summary>kernel/bpf/tcx.c and include/net/tcx.h: tcx_entry_sync() is synchronize_rcu(), for which the RTNL lock is held.</summary>
    public override void LetOthersLock() => Thread.Sleep(Courtesy);

    public override TcAttachment? TryAttach(int ifindex, TcDirection direction)
    {
        if (TryLink(_programs.For(direction), ifindex, direction) is not { } link)
        {
            return null;
        }
        var name = PinName(ifindex, direction);
        return new Attachment(this, ifindex, direction, link, name) { PinProblem = TryPin(link, name) };
    }

    /// <summary>
    /// A link stays with its interface, so a link's index belongs to the interface it was attached to, and is 0 when that is gone.
    /// </summary>
    public override IEnumerable<TcAttachment> Adopt(ICollection<Exception> problems)
    {
        foreach (var file in _pins?.List(_programs.LinksPart) ?? [])
        {
            if (TryAdopt($"{_programs.LinksPart}/{file}", problems) is { } attachment)
            {
                yield return attachment;
            }
        }
    }

    /// <summary>An earlier process may have used clsact.</summary>
    public override int RemoveStrays()
    {
        using var client = new TcClient();
        var removed = RemoveStrays(client, _pins, _programs);
        _pins?.Remove(_programs.ProgramsPart);
        return removed;
    }

    public override bool IsAttached(int ifindex, TcDirection direction)
    {
        var ids = stackalloc uint[MaxPrograms];
        var count = (uint)MaxPrograms;
        return Libbpf.bpf_prog_query(ifindex, AttachType(direction), 0, null, ids, &count) == 0
            && new ReadOnlySpan<uint>(ids, (int)Math.Min(count, MaxPrograms)).Contains((uint)_programs.For(direction).Id);
    }

    /// <summary>Null where the interface is gone.</summary>
    internal static FileDescriptor? TryLink(BpfProgram program, int ifindex, TcDirection direction, uint flags = BPF_F_BEFORE)
    {
        var opts = new Libbpf.bpf_link_create_opts { sz = (nuint)sizeof(Libbpf.bpf_link_create_opts), flags = flags };
        var fd = Libbpf.bpf_link_create(program.Fd, ifindex, AttachType(direction), &opts);
        return fd switch
        {
            >= 0 => new FileDescriptor(fd),
            -Errno.ENODEV => null,
            _ => throw new BpfException($"attach {program.Name} to interface {ifindex} with tcx", -fd),
        };
    }

    /// <summary>Number of programs, of any process, that run there; 0 where the interface is gone.</summary>
    internal static int CountPrograms(int ifindex, TcDirection direction)
    {
        var count = 0u;
        return Libbpf.bpf_prog_query(ifindex, AttachType(direction), 0, null, null, &count) == 0 ? (int)count : 0;
    }

    private static int AttachType(TcDirection direction) => direction == TcDirection.Ingress ? Libbpf.BPF_TCX_INGRESS : Libbpf.BPF_TCX_EGRESS;

    private string PinName(int ifindex, TcDirection direction) =>
        $"{_programs.LinksPart}/{ifindex.ToString(CultureInfo.InvariantCulture)}_{direction.ToString().ToLowerInvariant()}";

    private static int Fd(FileDescriptor descriptor) => (int)descriptor.DangerousGetHandle();

    /// <summary>Null where it cannot be taken over; it is detached then, and its pin removed.</summary>
    private Attachment? TryAdopt(string name, ICollection<Exception> problems)
    {
        FileDescriptor? link = null;
        try
        {
            link = _pins!.Get(name);
            if (link is not null && TryAdopt(link, name) is { } adopted)
            {
                return adopted;
            }
            _pins.Remove(name);
        }
        catch (BpfException e)
        {
            problems.Add(e);
            Detach(link);
        }
        link?.Dispose();
        return null;
    }

    private Attachment? TryAdopt(FileDescriptor link, string name)
    {
        Libbpf.bpf_link_info info = default;
        var size = (uint)sizeof(Libbpf.bpf_link_info);
        if (Libbpf.bpf_obj_get_info_by_fd(Fd(link), &info, &size) == 0 && info.type == Libbpf.BPF_LINK_TYPE_TCX && info.ifindex != 0)
        {
            var direction = info.tcx_attach_type == Libbpf.BPF_TCX_INGRESS ? TcDirection.Ingress : TcDirection.Egress;
            var attachment = new Attachment(this, (int)info.ifindex, direction, link, name);
            try
            {
                attachment.Renew();
                return attachment;
            }
            catch (BpfException)
            {
                // The interface has gone just now, or somebody has detached the link (bpftool link detach).
            }
        }
        return null;
    }

    /// <summary>A link whose pin cannot be removed would count on.</summary>
    private static void Detach(FileDescriptor? link)
    {
        if (link is not null)
        {
            _ = Libbpf.bpf_link_detach(Fd(link));
        }
    }

    /// <summary>Returns why it cannot be pinned, or null.</summary>
    private string? TryPin(FileDescriptor link, string name)
    {
        try
        {
            Pin(link, name);
            return null;
        }
        catch (PinException e)
        {
            return e.Message;
        }
    }

    /// <summary>Nothing is pinned in a directory that no other process would find.</summary>
    private void Pin(FileDescriptor link, string name)
    {
        if (_pins is { IsLost: false })
        {
            _pins.MakePart(_programs.LinksPart);
            _pins.Pin(Fd(link), name);
        }
    }

    private sealed class Attachment(TcxAttacher attacher, int ifindex, TcDirection direction, FileDescriptor link, string pinName) : TcAttachment(ifindex, direction)
    {
        public override void Renew()
        {
            var program = attacher._programs.For(Direction);
            var error = Libbpf.bpf_link_update(Fd(link), program.Fd, null);
            if (error < 0)
            {
                throw new BpfException($"put {program.Name} in its predecessor's place on interface {Ifindex}", -error);
            }
        }

        public override bool IsPinned => attacher._pins is null || attacher._pins.Has(pinName) || attacher._pins.IsLost;

        public override void Pin() => attacher.Pin(link, pinName);

        public override void Dispose()
        {
            if (link.IsClosed)
            {
                return;
            }
            try
            {
                if (attacher._pins is { IsLost: true })
                {
                    // The pin may still be there, where no path leads.
                    Detach(link);
                }
                attacher._pins?.Remove(pinName);
            }
            catch (PinException)
            {
                Detach(link);
                throw;
            }
            finally
            {
                link.Dispose();
            }
        }
    }
}
