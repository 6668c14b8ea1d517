using System.Globalization;
using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Signals.Objects;

namespace Exporter.Signals.Handshakes;

/// <summary>
/// bpf/kprobe/tcp_handshake.bpf.c, loaded and attached by one of its two ways. It counts from <see cref="Activate"/> on, and programs that
/// counted on the same maps before count no more. Disposing detaches; without that, pinned programs keep counting.
/// </summary>
internal sealed class HandshakePrograms : IHandshakeState, IReplaceable, IDisposable
{
    /// <summary>Most bounds that the programs can distinguish.</summary>
    internal const int MaxBounds = 31;

    internal const string ObjectName = "tcp_handshake";

    private const string MapKind = "handshakes";
    private const string LinksPart = "handshake_links";
    private const string RetransmittingMap = "handshakes_late";
    private const string LossesMap = "handshake_losses";

    /// <summary>Has the generation of the programs that count.</summary>
    private const string CurrentMap = "handshakes_current";

    /// <summary>Which kernel function calls which program; null stands for the tracepoint that it was compiled for.</summary>
    private static readonly Dictionary<HandshakeAttachType, (string Program, string? Function)[]> Hooks = new()
    {
        [HandshakeAttachType.Kprobe] =
        [
            ("podnet_kp_state", "tcp_set_state"),
            ("podnet_kp_syn", "tcp_retransmit_skb"),
            ("podnet_kp_rst", "tcp_reset"),
            ("podnet_kp_synack", "tcp_rtx_synack"),
        ],
        [HandshakeAttachType.Tracepoint] =
        [
            (SkippedChanges.FirstProgram, null),
            ("podnet_tp_syn", null),
            ("podnet_tp_reset", null),
            ("podnet_tp_rst", null),
            ("podnet_tp_synack", null),
        ],
    };

    /// <summary>The end of a server's request can only be seen by these.</summary>
    private static readonly (string Program, string? Function)[] RequestHooks =
    [
        ("podnet_kp_free4", "tcp_v4_reqsk_destructor"),
        ("podnet_kp_free6", "tcp_v6_reqsk_destructor"),
    ];

    private readonly PinDirectory? _pins;
    private readonly ulong[] _bounds;
    private readonly LoadedObject _object;
    private readonly MapGenerations _maps;
    private readonly SkippedChanges _skipped;

    /// <summary>Taken while programs are replaced, or the second one is attached.</summary>
    private readonly Lock _lock = new();
    private AttachedPrograms _attached;

    private HandshakePrograms(HandshakeAttachType type, ulong[] bounds, PinDirectory? pins, LoadedObject loaded, AttachedPrograms attached, Func<int, bool> isCommitted)
    {
        (AttachType, _bounds, _pins, _object, _attached) = (type, bounds, pins, loaded, attached);
        _skipped = new(pins, program => Pin(_attached, _attached.Links.Where(link => link.Name == program)));
        _maps = loaded[MapKind];
        Handshakes = new(_maps, MapKind, HandshakeValue.Fields, isCommitted);
        Retransmitting = new(_maps.Current[RetransmittingMap]);
        Losses = _maps.Continue<ulong>(LossesMap, Enum.GetValues<HandshakeLoss>().Length);
    }

    public string Name => ObjectName;

    /// <summary>The attached programs.</summary>
    public IReadOnlyList<BpfProgram> Programs => Volatile.Read(ref _attached).Programs;

    internal HandshakeAttachType AttachType { get; }

    internal SignalMaps<HandshakeKey, HandshakeValue> Handshakes { get; }

    /// <summary>Handshakes whose SYN or SYN-ACK was retransmitted, and that have not ended.</summary>
    internal HashTable<HandshakeFlow, RetransmittedHandshake> Retransmitting { get; }

    /// <summary>Indexed by <see cref="HandshakeLoss"/>.</summary>
    internal PerCpuArray<ulong> Losses { get; }

    /// <summary>Indexed by <see cref="LoopbackStep"/>.</summary>
    internal PerCpuArray<ulong> Steps => _attached.Steps;

    /// <summary>Null where nothing is pinned, or no other process would find it: another directory may be at its path.</summary>
    private PinDirectory? UsedPins => _pins is { IsLost: false } pins ? pins : null;

    /// <param name="bounds">Upper bounds of the ranges of durations, inclusive, in nanoseconds; ascending, at most <see cref="MaxBounds"/>.</param>
    /// <param name="maxNamespaces">How many network namespaces can have handshakes between two drains; about 2.5 KiB of kernel memory each.</param>
    /// <param name="maxRetransmitting">How many handshakes can be remembered while they are retransmitted; about 100 bytes each.</param>
    /// <param name="pins">Where maps and links are pinned, and maps found again; null: they end with the process.</param>
    /// <param name="isCommitted">Whether the rows in the map of this id are in the ledger.</param>
    /// <exception cref="BpfException">The kernel refused them, or lacks a hook.</exception>
    internal static HandshakePrograms Attach(
        HandshakeAttachType type, ReadOnlySpan<ulong> bounds, int maxNamespaces, int maxRetransmitting, PinDirectory? pins = null, Func<int, bool>? isCommitted = null)
    {
        var copy = bounds.ToArray();
        var generation = 0ul;
        var loaded = LoadedObject.Load(ObjectName, [Plan(maxNamespaces, maxRetransmitting, copy)], pins, opened => generation = Prepare(opened, type, copy));
        AttachedPrograms? attached = null;
        try
        {
            attached = new(loaded.Current, generation);
            attached.Attach(Hooks[type]);
            return new(type, copy, pins, loaded, attached, isCommitted ?? (_ => false));
        }
        catch
        {
            attached?.Dispose();
            loaded.Dispose();
            throw;
        }
    }

    /// <summary>The ids of pinned pairs of maps, while no programs are loaded with them.</summary>
    internal static IReadOnlyList<int> FindPairs(PinDirectory pins) => MapSet.FindPairs(pins, MapKind);

    /// <summary>Removes pinned links, which detaches their programs.</summary>
    internal static void RemovePinned(PinDirectory pins)
    {
        foreach (var part in pins.List().Where(name => name.StartsWith(LinksPart, StringComparison.Ordinal)))
        {
            pins.Remove(part);
        }
    }

    /// <summary>The name that the link of a program is pinned by.</summary>
    internal static string PinOf(ulong generation, string program) => $"{PartOf(generation)}/{program}";

    /// <summary>
    /// Attaches the programs that see a server's requests end without a connection: by kprobes, in either way. Without them such a request is only
    /// noticed by the silence of its handshake, and only if its SYN-ACK was retransmitted. Goes before <see cref="Activate"/>, which pins all that is attached.
    /// </summary>
    /// <exception cref="BpfException">The kernel lacks kprobes, or does not allow them; nothing else has changed.</exception>
    internal void AttachRequests() => _attached.Attach(RequestHooks);

    /// <summary>
    /// Counts from now on, in the place of programs that counted before: which programs count is one number in a map, so that every handshake is
    /// counted by the previous ones or by these. One that ends in this very moment may be seen by both, or by none.
    /// </summary>
    /// <exception cref="PinException">They cannot be pinned.</exception>
    internal void Activate()
    {
        Begin(_attached);
        EndOthers();
    }

    /// <summary>Pins these programs, and has them count. Nothing but pins has changed where that is refused.</summary>
    private void Begin(AttachedPrograms programs)
    {
        Pin(programs, programs.Links);
        _skipped.Begin(programs);
        foreach (var previous in _maps.Previous)
        {
            SetCurrent(previous, 0);
        }
        SetCurrent(_maps.Current, programs.Generation);
    }

    /// <summary>Takes the pins of all other programs away, which detaches them.</summary>
    private void EndOthers()
    {
        var part = PartOf(_attached.Generation);
        foreach (var name in UsedPins?.List() ?? [])
        {
            if (name.StartsWith(LinksPart, StringComparison.Ordinal) && name != part)
            {
                UsedPins?.Remove(name);
            }
        }
        // No program counts into the maps of previous processes any more.
        Handshakes.EndPrevious();
        _skipped.FindEnded();
    }

    /// <summary>
    /// Has another object's programs take the place of these, on the same maps, once they have proven to work: no handshake is missed, and
    /// none counted twice.
    /// </summary>
    /// <param name="elf">The object's content.</param>
    /// <param name="tryOut">Says which of its programs, which are attached and do not count yet, see nothing; empty is good. It is given <see cref="Steps"/>.</param>
    /// <exception cref="BpfException">The kernel refused it, or it does not work; nothing has changed.</exception>
    internal void Replace(byte[] elf, Func<PerCpuArray<ulong>, string> tryOut)
    {
        var generation = 0ul;
        var next = _object.LoadNext(elf, opened => generation = Prepare(opened, AttachType, _bounds));
        var previous = _attached;
        AttachedPrograms? attached = null;
        try
        {
            attached = new(next, generation);
            attached.Attach(Hooks[AttachType]);
            var names = Programs.Select(program => program.Name).ToHashSet();
            (string Program, string? Function)[] others = [.. RequestHooks, (SkippedChanges.SecondProgram, null)];
            attached.Attach([.. others.Where(other => names.Contains(other.Program))]);
            var problem = tryOut(attached.Steps);
            if (problem.Length > 0)
            {
                throw new BpfException($"use the BPF object {ObjectName}: {problem}", Errno.EINVAL);
            }
            lock (_lock)
            {
                Begin(attached);
                Volatile.Write(ref _attached, attached);
                Unpin(EndOthers);
            }
        }
        catch
        {
            attached?.Dispose();
            Unpin(() => UsedPins?.Remove(PartOf(generation)));
            next.Dispose();
            throw;
        }
        previous.Dispose();
        _object.Replace(next).Dispose();
    }

    public Task ReplaceAsync(byte[] elf, IInterfacePrograms attached, CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            try
            {
                Replace(elf, LoopbackTrial.FindUnseen);
            }
            catch (SocketException e)
            {
                throw new BpfException($"try out the programs of handshakes: {e.Message}", Errno.EAGAIN);
            }
        },
        cancellationToken);

    public ulong ReadLoss(HandshakeLoss reason) => Losses.Read((int)reason);

    public ReadOnlySpan<DrainedRow<HandshakeFlow, RetransmittedHandshake>> ReadRetransmitted() => Retransmitting.Read();

    public bool TryRemove(in HandshakeFlow flow) => Retransmitting.Remove(flow);

    /// <inheritdoc cref="SkippedChanges.Read"/>
    public ReadOnlySpan<MissedChanges> ReadMissed()
    {
        lock (_lock)
        {
            return _skipped.Read();
        }
    }

    /// <inheritdoc cref="SkippedChanges.Forget"/>
    public void ForgetMissed()
    {
        lock (_lock)
        {
            _skipped.Forget();
        }
    }

    /// <inheritdoc cref="SkippedChanges.AttachSecond"/>
    internal void AttachSecond() => _skipped.AttachSecond();

    public void Dispose()
    {
        _attached.Dispose();
        _object.Dispose();
    }

    private static MapSetPlan Plan(int maxNamespaces, int maxRetransmitting, ulong[] bounds) => MapSetPlan.OfPair(
        MapKind,
        new(string.Create(CultureInfo.InvariantCulture, $"networks={maxNamespaces};late={maxRetransmitting};bounds={string.Join(' ', bounds)}"), HandshakeValue.Fields.Names),
        maxNamespaces,
        (RetransmittingMap, maxRetransmitting),
        (LossesMap, null),
        (CurrentMap, null));

    /// <summary>Sets the object's constants, before it is loaded. Returns the number that no other object has.</summary>
    private static ulong Prepare(BpfObject opened, HandshakeAttachType type, ReadOnlySpan<ulong> bounds)
    {
        Span<ulong> constants = stackalloc ulong[MaxBounds];
        constants.Fill(ulong.MaxValue);
        bounds.CopyTo(constants);
        opened.SetConstants<ulong>(".rodata.bounds", constants);
        var generation = (ulong)DateTime.UtcNow.Ticks;
        opened.SetConstants<ulong>(".rodata.generation", [generation]);
        foreach (var (program, _) in Hooks.Where(entry => entry.Key != type).SelectMany(entry => entry.Value))
        {
            opened.Omit(program);
        }
        if (type != HandshakeAttachType.Tracepoint)
        {
            opened.Omit(SkippedChanges.SecondProgram);
        }
        return generation;
    }

    /// <summary>A pin that cannot be removed keeps programs attached that do not count; the next start removes it.</summary>
    private static void Unpin(Action removal)
    {
        try
        {
            removal();
        }
        catch (PinException)
        {
        }
    }

    private static string PartOf(ulong generation) => $"{LinksPart}_{generation.ToString(CultureInfo.InvariantCulture)}";

    private static void SetCurrent(MapSet maps, ulong generation) => new PerCpuArray<ulong>(maps[CurrentMap]).Write(0, generation);

    /// <summary>A link that the kernel cannot pin, such as of a kprobe before Linux 5.15, ends with the process.</summary>
    private void Pin(AttachedPrograms programs, IEnumerable<(string Name, BpfLink Link)> links)
    {
        if (UsedPins is not { } pins)
        {
            return;
        }
        pins.MakePart(PartOf(programs.Generation));
        foreach (var (name, link) in links)
        {
            try
            {
                pins.Pin(link, PinOf(programs.Generation, name));
            }
            catch (PinException e) when (e.ErrorNumber == Errno.EINVAL)
            {
            }
        }
    }
}
