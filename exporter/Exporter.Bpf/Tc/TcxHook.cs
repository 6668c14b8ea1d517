using Exporter.Bpf.Native;

namespace Exporter.Bpf.Tc;

/// <summary>
/// tcx links (Linux 6.6), at the head of the chain: a program before ours could end it, and its packets would be missed. A
/// link ends with its file descriptor, so a killed exporter leaves nothing.
/// </summary>
public sealed unsafe class TcxHook(PodTrafficPrograms programs) : TcHook
{
    /// <summary>Before the program it is given relative to, and without one at the head (include/uapi/linux/bpf.h).</summary>
    internal const uint BPF_F_BEFORE = 1 << 3;

    private const int BPF_TCX_INGRESS = 46;
    private const int BPF_TCX_EGRESS = 47;
    private const int LoopbackIfindex = 1;

    /// <summary>More programs than the kernel allows on one hook (include/linux/bpf_mprog.h, BPF_MPROG_MAX).</summary>
    private const int MaxPrograms = 64;

    public override string Name => "tcx";

    /// <summary>kernel/bpf/tcx.c and include/net/tcx.h: tcx_entry_sync() is synchronize_rcu().</summary>
    public override bool HoldsLockLong => true;

    /// <summary>Whether this kernel has tcx: it can say what is attached to the loopback interface.</summary>
    public static bool IsSupported()
    {
        var count = 0u;
        return Libbpf.bpf_prog_query(LoopbackIfindex, BPF_TCX_INGRESS, 0, null, null, &count) == 0;
    }

    public override IDisposable? TryAttach(int ifindex, TcDirection direction) =>
        TryLink(programs.For(direction), ifindex, direction);

    public override bool IsAttached(int ifindex) =>
        IsAttached(ifindex, TcDirection.Ingress) && IsAttached(ifindex, TcDirection.Egress);

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

    /// <summary>How many programs, whoever's, run there; 0 where the interface is gone.</summary>
    internal static int CountPrograms(int ifindex, TcDirection direction)
    {
        var count = 0u;
        return Libbpf.bpf_prog_query(ifindex, AttachType(direction), 0, null, null, &count) == 0 ? (int)count : 0;
    }

    private static int AttachType(TcDirection direction) => direction == TcDirection.Ingress ? BPF_TCX_INGRESS : BPF_TCX_EGRESS;

    private bool IsAttached(int ifindex, TcDirection direction)
    {
        var ids = stackalloc uint[MaxPrograms];
        var count = (uint)MaxPrograms;
        return Libbpf.bpf_prog_query(ifindex, AttachType(direction), 0, null, ids, &count) == 0
            && new ReadOnlySpan<uint>(ids, (int)Math.Min(count, MaxPrograms)).Contains((uint)programs.For(direction).Id);
    }
}
