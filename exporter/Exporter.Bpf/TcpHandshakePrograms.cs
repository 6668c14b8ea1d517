using Exporter.Bpf.Contract;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>How the handshake programs are called.</summary>
public enum HandshakeHook
{
    /// <summary>By kprobes, which take CONFIG_KPROBES and functions that are not inlined.</summary>
    Kprobe,

    /// <summary>By tracepoints, which every kernel with BTF has.</summary>
    Tracepoint,
}

/// <summary>bpf/kprobe/tcp_handshake.bpf.c, loaded with one of its two sets of hooks and attached until it is disposed.</summary>
public sealed class TcpHandshakePrograms : IDisposable
{
    /// <summary>As many bounds as the programs can tell apart.</summary>
    public const int MaxBounds = 31;

    private const string FirstState = "podnet_tp_state";
    private const string SecondState = "podnet_tp_state2";

    /// <summary>Which kernel function calls which program; null stands for the tracepoint that it was compiled for.</summary>
    private static readonly Dictionary<HandshakeHook, (string Program, string? Function)[]> Hooks = new()
    {
        [HandshakeHook.Kprobe] =
        [
            ("podnet_kp_state", "tcp_set_state"),
            ("podnet_kp_syn", "tcp_retransmit_skb"),
            ("podnet_kp_synack", "tcp_rtx_synack"),
        ],
        [HandshakeHook.Tracepoint] =
        [
            (FirstState, null),
            ("podnet_tp_syn", null),
            ("podnet_tp_reset", null),
            ("podnet_tp_synack", null),
        ],
    };

    /// <summary>What becomes of a server's requests can only be seen so.</summary>
    private static readonly (string Program, string? Function)[] RequestHooks =
    [
        ("podnet_kp_free4", "tcp_v4_reqsk_destructor"),
        ("podnet_kp_free6", "tcp_v6_reqsk_destructor"),
    ];

    private readonly BpfObject _object;
    private readonly BpfProgram _network;
    private readonly BpfMap _networkFound;
    private readonly List<IDisposable> _links = [];
    private readonly List<BpfProgram> _programs = [];
    private ulong? _missed;

    private TcpHandshakePrograms(BpfObject loaded, HandshakeHook hook)
    {
        _object = loaded;
        _network = loaded.Program("podnet_network");
        _networkFound = loaded.Map("network_found");
        _networkFound.RequireLayout<uint, ulong>();
        Hook = hook;
        Handshakes = new(loaded.Map("handshakes_active"), loaded.Map("handshakes_a"), loaded.Map("handshakes_b"));
        Late = new(loaded.Map("handshakes_late"));
        Losses = new(loaded.Map("handshake_losses"));
        Steps = new(loaded.Map("handshake_steps"));
    }

    public HandshakeHook Hook { get; }

    /// <summary>Those that are attached.</summary>
    public IReadOnlyList<BpfProgram> Programs => _programs;

    public DoubleBufferedMap<HandshakeKey, HandshakeValue> Handshakes { get; }

    /// <summary>Those whose SYN or SYN-ACK was sent again, and that have not ended.</summary>
    public HashTable<HandshakeFlow, HandshakeLate> Late { get; }

    /// <summary>Indexed by <see cref="HandshakeLoss"/>.</summary>
    public PerCpuArray<ulong> Losses { get; }

    /// <summary>Indexed by <see cref="HandshakeStep"/>.</summary>
    public PerCpuArray<ulong> Steps { get; }

    /// <param name="bounds">Upper bounds of the ranges of durations, inclusive, in nanoseconds; ascending, at most <see cref="MaxBounds"/>.</param>
    /// <param name="maxNetworks">How many network namespaces can have handshakes between two drains; about 2.5 KiB of kernel memory each.</param>
    /// <param name="maxLate">How many handshakes can be remembered while they are sent again; about 100 bytes each.</param>
    /// <exception cref="BpfException">The kernel refused them, or lacks what this hook needs.</exception>
    public static TcpHandshakePrograms Attach(HandshakeHook hook, ReadOnlySpan<ulong> bounds, int maxNetworks, int maxLate)
    {
        var opened = BpfObject.OpenEmbedded("tcp_handshake");
        try
        {
            Span<ulong> constants = stackalloc ulong[MaxBounds];
            constants.Fill(ulong.MaxValue);
            bounds.CopyTo(constants);
            opened.SetConstants<ulong>(".rodata.bounds", constants);
            opened.SetMaxEntries("handshakes_a", maxNetworks);
            opened.SetMaxEntries("handshakes_b", maxNetworks);
            opened.SetMaxEntries("handshakes_late", maxLate);
            foreach (var (program, _) in Hooks.Where(entry => entry.Key != hook).SelectMany(entry => entry.Value))
            {
                opened.Omit(program);
            }
            if (hook != HandshakeHook.Tracepoint)
            {
                opened.Omit(SecondState);
            }
            opened.Load();
            // A part of it that was attached is detached again when the rest cannot be.
            var programs = new TcpHandshakePrograms(opened, hook);
            programs.Attach(Hooks[hook]);
            return programs;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Attaches what sees a server's requests end without a connection: by kprobes, with either hook. Without it such a request is only
    /// noticed by the silence of its handshake, and only if its SYN-ACK was sent again.
    /// </summary>
    /// <exception cref="BpfException">The kernel lacks kprobes, or does not allow them; nothing else has changed.</exception>
    public void AttachRequests() => Attach(RequestHooks);

    /// <summary>
    /// Attaches the second of the tracepoint's programs if the kernel has left the first out. From then on nothing is missed.
    /// </summary>
    /// <returns>How many changes of a socket's state were missed before: the ends of so many handshakes at the most.</returns>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public ulong Reinforce()
    {
        var state = _programs[0];
        if (_missed is null && state.Name == FirstState && state.ReadStatistics().Misses > 0)
        {
            AttachSecond();
            _missed = state.ReadStatistics().Misses;
        }
        return _missed ?? 0;
    }

    /// <summary>
    /// The network namespace that has this id in the calling thread's, by the number that the programs know it by; 0 where there is none.
    /// Used by one thread at a time.
    /// </summary>
    /// <param name="namespaceId">As <see cref="Netlink.Link.PeerNamespaceId"/>; null for the calling thread's own.</param>
    public unsafe ulong FindNetwork(int? namespaceId)
    {
        _network.Run(namespaceId ?? -1);
        var slot = 0;
        ulong network;
        var error = Libbpf.bpf_map_lookup_elem(_networkFound.Fd, &slot, &network);
        return error < 0 ? throw new BpfException($"read the map {_networkFound.Name}", -error) : network;
    }

    public void Dispose()
    {
        _links.ForEach(link => link.Dispose());
        _object.Dispose();
    }

    /// <summary>Attaches the second of the tracepoint's programs.</summary>
    internal void AttachSecond() => Attach([(SecondState, null)]);

    private void Attach(IEnumerable<(string Program, string? Function)> hooks)
    {
        var links = new List<IDisposable>();
        var programs = new List<BpfProgram>();
        try
        {
            foreach (var (name, function) in hooks)
            {
                var program = _object.Program(name);
                links.Add(function is null ? program.AttachTracepoint() : program.AttachKprobe(function));
                programs.Add(program);
            }
        }
        catch
        {
            links.ForEach(link => link.Dispose());
            throw;
        }
        _links.AddRange(links);
        _programs.AddRange(programs);
    }
}
