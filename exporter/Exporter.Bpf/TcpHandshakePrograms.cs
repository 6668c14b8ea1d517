using System.Globalization;
using Exporter.Bpf.Contract;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// bpf/kprobe/tcp_handshake.bpf.c, loaded with one of its two sets of hooks and attached. It counts from <see cref="Activate"/> on, and what
/// counted on the same maps before it does no more. Disposing detaches; without that, what is pinned goes on.
/// </summary>
public sealed class TcpHandshakePrograms : IDisposable
{
    /// <summary>As many bounds as the programs can tell apart.</summary>
    public const int MaxBounds = 31;

    /// <summary>The object's name.</summary>
    public const string ObjectName = "tcp_handshake";

    private const string MapKind = "handshakes";
    private const string LinksPart = "handshake_links";

    /// <summary>
    /// The first program of each generation stays pinned after it is detached, until its recursion misses are in the ledger. Once a second program is
    /// attached, a note beside it has the misses from before.
    /// </summary>
    private const string ProgramsPart = "handshake_programs";

    private const string MissedEnd = "_missed";

    private static readonly string[] MapNames = ["handshakes_active", "handshakes_a", "handshakes_b", "handshakes_late", "handshake_losses", "handshakes_current"];

    private const string FirstState = "podnet_tp_state";
    private const string SecondState = "podnet_tp_state2";

    /// <summary>Which kernel function calls which program; null stands for the tracepoint that it was compiled for.</summary>
    private static readonly Dictionary<HandshakeHook, (string Program, string? Function)[]> Hooks = new()
    {
        [HandshakeHook.Kprobe] =
        [
            ("podnet_kp_state", "tcp_set_state"),
            ("podnet_kp_syn", "tcp_retransmit_skb"),
            ("podnet_kp_rst", "tcp_reset"),
            ("podnet_kp_synack", "tcp_rtx_synack"),
        ],
        [HandshakeHook.Tracepoint] =
        [
            (FirstState, null),
            ("podnet_tp_syn", null),
            ("podnet_tp_reset", null),
            ("podnet_tp_rst", null),
            ("podnet_tp_synack", null),
        ],
    };

    /// <summary>What becomes of a server's requests can only be seen so.</summary>
    private static readonly (string Program, string? Function)[] RequestHooks =
    [
        ("podnet_kp_free4", "tcp_v4_reqsk_destructor"),
        ("podnet_kp_free6", "tcp_v6_reqsk_destructor"),
    ];

    private readonly MapSet _maps;
    private readonly List<MapSet> _formerMaps = [];
    private readonly List<FormerHandshakes> _former = [];
    private readonly PinDirectory? _pins;
    private readonly ulong[] _bounds;

    /// <summary>Taken while programs are replaced, or the second one is attached.</summary>
    private readonly Lock _lock = new();
    private Loaded _loaded;

    /// <summary>Misses of programs that count no more, until they are in the ledger.</summary>
    private readonly List<MissedChanges> _ended = [];

    /// <summary>What was read last: of those that have ended, and of the ones of now.</summary>
    private MissedChanges[] _lastMissed = [];

    /// <summary>Misses of the current programs from before the second one was attached; null without a second one.</summary>
    private ulong? _missed;

    private TcpHandshakePrograms(HandshakeHook hook, ulong[] bounds, MapSet maps, PinDirectory? pins, Loaded loaded, Func<int, bool> kept)
    {
        (Hook, _bounds, _maps, _pins, _loaded) = (hook, bounds, maps, pins, loaded);
        Handshakes = OpenHandshakes(maps, maps.IsAdopted ? kept : null);
        Late = new(maps["handshakes_late"]);
        Losses = new(maps["handshake_losses"]);
        foreach (var former in maps.OpenFormer(MapKind))
        {
            _formerMaps.Add(former);
            _former.Add(new(OpenHandshakes(former, kept), ReadBounds(former.Layout.Settings)));
            AddLosses(new(former["handshake_losses"]));
        }
    }

    public HandshakeHook Hook { get; }

    /// <summary>Those that are attached.</summary>
    public IReadOnlyList<BpfProgram> Programs => Volatile.Read(ref _loaded).Programs;

    public DoubleBufferedMap<HandshakeKey, HandshakeValue> Handshakes { get; }

    /// <summary>What programs of an earlier process have counted with other bounds, or into maps of another size.</summary>
    public IReadOnlyList<FormerHandshakes> Former => _former;

    /// <summary>What the pairs of maps are known by.</summary>
    public IEnumerable<int> Pairs => [Handshakes.Pair, .. _former.Select(former => former.Handshakes.Pair)];

    /// <summary>Those whose SYN or SYN-ACK was sent again, and that have not ended.</summary>
    public HashTable<HandshakeFlow, HandshakeLate> Late { get; }

    /// <summary>Indexed by <see cref="HandshakeLoss"/>.</summary>
    public PerCpuArray<ulong> Losses { get; }

    /// <summary>Indexed by <see cref="HandshakeStep"/>.</summary>
    public PerCpuArray<ulong> Steps => _loaded.Steps;

    /// <param name="bounds">Upper bounds of the ranges of durations, inclusive, in nanoseconds; ascending, at most <see cref="MaxBounds"/>.</param>
    /// <param name="maxNetworks">How many network namespaces can have handshakes between two drains; about 2.5 KiB of kernel memory each.</param>
    /// <param name="maxLate">How many handshakes can be remembered while they are sent again; about 100 bytes each.</param>
    /// <param name="pins">Where maps and links are pinned, and maps found again; null: they end with the process.</param>
    /// <param name="kept">Whether an earlier process has kept what is in the map of this id.</param>
    /// <exception cref="BpfException">The kernel refused them, or lacks what this hook needs.</exception>
    public static TcpHandshakePrograms Attach(
        HandshakeHook hook, ReadOnlySpan<ulong> bounds, int maxNetworks, int maxLate, PinDirectory? pins = null, Func<int, bool>? kept = null)
    {
        var opened = BpfObject.OpenEmbedded(ObjectName);
        MapSet? maps = null;
        Loaded? loaded = null;
        try
        {
            var generation = Prepare(opened, hook, bounds);
            opened.SetMaxEntries("handshakes_a", maxNetworks);
            opened.SetMaxEntries("handshakes_b", maxNetworks);
            opened.SetMaxEntries("handshakes_late", maxLate);
            maps = MapSet.Load(opened, pins, MapKind, HandshakeValue.LayoutOf(WriteSettings(maxNetworks, maxLate, bounds)), MapNames);
            loaded = new Loaded(opened, generation);
            loaded.Attach(Hooks[hook]);
            return new TcpHandshakePrograms(hook, bounds.ToArray(), maps, pins, loaded, kept ?? (_ => false));
        }
        catch
        {
            loaded?.Dispose();
            maps?.Dispose();
            opened.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Has another object's programs take the place of these, on the same maps, once they have proven to work: no handshake is missed, and
    /// none counted twice.
    /// </summary>
    /// <param name="elf">The object.</param>
    /// <param name="tryOut">Says what its programs, which are attached and do not count yet, do not see; empty is good. It is given <see cref="Steps"/>.</param>
    /// <exception cref="BpfException">The kernel refused it, or it does not work; nothing has changed.</exception>
    public void Replace(byte[] elf, Func<PerCpuArray<ulong>, string> tryOut)
    {
        var opened = BpfObject.Open(ObjectName, elf);
        Loaded? next = null;
        try
        {
            var generation = Prepare(opened, Hook, _bounds);
            _maps.Load(opened);
            next = new Loaded(opened, generation);
            next.Attach(Hooks[Hook]);
            var names = _loaded.Programs.Select(program => program.Name).ToHashSet();
            foreach (var more in (ReadOnlySpan<(string Program, string? Function)>)[.. RequestHooks, (SecondState, null)])
            {
                if (names.Contains(more.Program))
                {
                    next.Attach([more]);
                }
            }
            var problem = tryOut(next.Steps);
            if (problem.Length > 0)
            {
                throw new BpfException($"use the BPF object {ObjectName}: {problem}", Errno.EINVAL);
            }
        }
        catch
        {
            next?.Dispose();
            opened.Dispose();
            throw;
        }
        Loaded former;
        lock (_lock)
        {
            var ended = new MissedChanges(_loaded.Generation, ReadOwnMissed());
            (former, _loaded) = (_loaded, next);
            // Both were attached before the first of them counts.
            _missed = next.Programs.Any(program => program.Name == SecondState) ? 0 : null;
            Activate();
            if (_pins is null)
            {
                _ended.Add(ended);
            }
        }
        former.Dispose();
    }

    /// <summary>What the pairs of maps are known by that are pinned, while no programs are loaded with them.</summary>
    public static IReadOnlyList<int> FindPairs(PinDirectory pins)
    {
        var pairs = new List<int>();
        foreach (var name in pins.List().Where(name => name.StartsWith($"{MapKind}_", StringComparison.Ordinal)))
        {
            if (pins.Get($"{name}/{MapNames[0]}") is { } descriptor)
            {
                using var slot = new BpfMap(MapNames[0], descriptor);
                pairs.Add(slot.Id);
            }
        }
        return pairs;
    }

    /// <summary>Removes what is attached and pinned, which detaches it.</summary>
    public static void RemovePinned(PinDirectory pins)
    {
        foreach (var part in pins.List().Where(name => name.StartsWith(LinksPart, StringComparison.Ordinal)))
        {
            pins.Remove(part);
        }
    }

    /// <summary>
    /// Counts from now on, in the place of whatever counted before: which programs do is one number in a map, so that every handshake is
    /// counted by the former or by these. One that ends in this very moment may be seen by both, or by none.
    /// </summary>
    public void Activate()
    {
        var part = PartOf(_loaded);
        if (_pins is not null)
        {
            _pins.MakePart(part);
            _loaded.Links.ForEach(TryPin);
            PinFirst(_pins);
        }
        foreach (var former in _formerMaps)
        {
            SetCurrent(former, 0);
        }
        SetCurrent(_maps, _loaded.Generation);
        foreach (var name in _pins?.List() ?? [])
        {
            if (name.StartsWith(LinksPart, StringComparison.Ordinal) && name != part)
            {
                _pins!.Remove(name);
            }
        }
        if (_pins is not null)
        {
            FindEnded(_pins);
        }
    }

    /// <summary>Gives up the maps that an earlier process has left: nobody counts into them, and what was counted is read.</summary>
    public void RemoveFormer()
    {
        _formerMaps.ForEach(maps => maps.Remove());
        _formerMaps.Clear();
        _former.Clear();
    }

    /// <summary>
    /// Attaches what sees a server's requests end without a connection: by kprobes, with either hook. Without it such a request is only
    /// noticed by the silence of its handshake, and only if its SYN-ACK was sent again. Goes before <see cref="Activate"/>, which pins all that is attached.
    /// </summary>
    /// <exception cref="BpfException">The kernel lacks kprobes, or does not allow them; nothing else has changed.</exception>
    public void AttachRequests() => _loaded.Attach(RequestHooks);

    /// <summary>
    /// Attaches the second of the tracepoint's programs if the kernel has skipped the first. From then on nothing is missed.
    /// </summary>
    /// <returns>
    /// The misses from before, of these programs and of those before them that <see cref="ForgetMissed"/> was not called for; valid until the next call.
    /// </returns>
    /// <exception cref="BpfException">The kernel refused, or the second cannot be pinned; the next call tries that again.</exception>
    public ReadOnlySpan<MissedChanges> ReadMissed()
    {
        lock (_lock)
        {
            if (_missed is null && ReadOwnMissed() > 0)
            {
                AttachSecond();
            }
            if (_missed is not null && _pins is not null)
            {
                PinSecond(_pins);
            }
            if (_lastMissed.Length != _ended.Count + 1)
            {
                _lastMissed = new MissedChanges[_ended.Count + 1];
            }
            _ended.CopyTo(_lastMissed);
            _lastMissed[^1] = new(_loaded.Generation, ReadOwnMissed());
            return _lastMissed;
        }
    }

    /// <summary>What was read last is kept elsewhere: of programs that count no more it need not be read again.</summary>
    /// <exception cref="PinException">They stay pinned.</exception>
    public void ForgetMissed()
    {
        lock (_lock)
        {
            for (var i = _ended.Count - 1; i >= 0; i--)
            {
                var ended = _ended[i];
                if (!_lastMissed.Contains(ended))
                {
                    // It has ended since, or has missed more.
                    continue;
                }
                if (_pins is not null)
                {
                    RemoveProgram(_pins, ended.Generation);
                }
                _ended.RemoveAt(i);
            }
        }
    }

    public void Dispose()
    {
        _loaded.Dispose();
        _maps.Dispose();
        _formerMaps.ForEach(maps => maps.Dispose());
    }

    /// <summary>Attaches the second of the tracepoint's programs; <see cref="ReadMissed"/> pins it.</summary>
    internal void AttachSecond()
    {
        _loaded.Attach([(SecondState, null)]);
        _missed = _loaded.Programs[0].ReadStatistics().Misses;
    }

    /// <summary>Before it is loaded. Returns the number that tells its programs from others'.</summary>
    private static ulong Prepare(BpfObject opened, HandshakeHook hook, ReadOnlySpan<ulong> bounds)
    {
        Span<ulong> constants = stackalloc ulong[MaxBounds];
        constants.Fill(ulong.MaxValue);
        bounds.CopyTo(constants);
        opened.SetConstants<ulong>(".rodata.bounds", constants);
        var generation = (ulong)DateTime.UtcNow.Ticks;
        opened.SetConstants<ulong>(".rodata.generation", [generation]);
        foreach (var (program, _) in Hooks.Where(entry => entry.Key != hook).SelectMany(entry => entry.Value))
        {
            opened.Omit(program);
        }
        if (hook != HandshakeHook.Tracepoint)
        {
            opened.Omit(SecondState);
        }
        return generation;
    }

    private static string PartOf(Loaded loaded) => $"{LinksPart}_{loaded.Generation.ToString(CultureInfo.InvariantCulture)}";

    private static DoubleBufferedMap<HandshakeKey, HandshakeValue> OpenHandshakes(MapSet maps, Func<int, bool>? kept) => new(
        maps["handshakes_active"], maps["handshakes_a"], maps["handshakes_b"], kept, HandshakeValue.LayoutOf("").Find(maps.Layout));

    private static string WriteSettings(int maxNetworks, int maxLate, ReadOnlySpan<ulong> bounds) =>
        string.Create(CultureInfo.InvariantCulture, $"networks={maxNetworks};late={maxLate};bounds={string.Join(' ', bounds.ToArray())}");

    private static ulong[] ReadBounds(string settings) =>
        [.. settings[(settings.LastIndexOf('=') + 1)..].Split(' ').Select(bound => ulong.Parse(bound, CultureInfo.InvariantCulture))];

    private static string ProgramOf(ulong generation) => $"{ProgramsPart}/{generation.ToString(CultureInfo.InvariantCulture)}";

    private static string NoteOf(ulong generation) => ProgramOf(generation) + MissedEnd;

    private static void RemoveProgram(PinDirectory pins, ulong generation)
    {
        // The note last: without it all misses of the program would count, also those that the second has seen.
        pins.Remove(ProgramOf(generation));
        pins.Remove(NoteOf(generation));
    }

    private static void SetCurrent(MapSet maps, ulong generation) => new PerCpuArray<ulong>(maps["handshakes_current"]).Write(0, generation);

    /// <summary>Only of the tracepoint's first program, and as long as there is no second.</summary>
    private ulong ReadOwnMissed()
    {
        var state = _loaded.Programs[0];
        return _missed ?? (state.Name == FirstState ? state.ReadStatistics().Misses : 0);
    }

    private void PinFirst(PinDirectory pins)
    {
        if (_loaded.Programs[0].Name != FirstState)
        {
            return;
        }
        pins.MakePart(ProgramsPart);
        if (_missed is { } missed)
        {
            WriteMissed(pins, missed);
        }
        pins.Pin(_loaded.Programs[0].Fd, ProgramOf(_loaded.Generation));
    }

    /// <summary>Pins the second program's link and writes the note, where they are not there yet, unless no process could find them.</summary>
    private void PinSecond(PinDirectory pins)
    {
        var isPinned = pins.Has($"{PartOf(_loaded)}/{SecondState}");
        if ((isPinned && pins.ReadNote(NoteOf(_loaded.Generation)) is not null) || pins.IsLost)
        {
            return;
        }
        if (!isPinned)
        {
            pins.MakePart(PartOf(_loaded));
            TryPin(_loaded.Links.Find(attached => attached.Name == SecondState));
        }
        pins.MakePart(ProgramsPart);
        WriteMissed(pins, ReadOwnMissed());
    }

    private void WriteMissed(PinDirectory pins, ulong missed)
    {
        if (pins.ReadNote(NoteOf(_loaded.Generation)) is null)
        {
            pins.WriteNote(NoteOf(_loaded.Generation), missed.ToString(CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Finds programs of earlier processes, and those that these have replaced.</summary>
    private void FindEnded(PinDirectory pins)
    {
        _ended.Clear();
        var names = pins.List(ProgramsPart);
        foreach (var name in names)
        {
            if (name.EndsWith(MissedEnd, StringComparison.Ordinal)
                && ulong.TryParse(name[..^MissedEnd.Length], CultureInfo.InvariantCulture, out var noteOf)
                && noteOf != _loaded.Generation
                && !names.Contains(name[..^MissedEnd.Length]))
            {
                // The process that removed the program was killed before it removed the note.
                pins.Remove(NoteOf(noteOf));
            }
            if (!ulong.TryParse(name, CultureInfo.InvariantCulture, out var generation) || generation == _loaded.Generation)
            {
                continue;
            }
            var missed = ulong.TryParse(pins.ReadNote(NoteOf(generation)), CultureInfo.InvariantCulture, out var noted)
                ? noted
                : ReadMisses(pins, ProgramOf(generation));
            if (missed == 0)
            {
                RemoveProgram(pins, generation);
            }
            else
            {
                _ended.Add(new(generation, missed));
            }
        }
    }

    private static ulong ReadMisses(PinDirectory pins, string name)
    {
        using var program = pins.Get(name);
        return program is null ? 0 : BpfProgram.ReadStatistics(program).Misses;
    }

    /// <summary>What cannot be pinned, such as a kprobe before Linux 5.15, ends with the process.</summary>
    private void TryPin((string Name, BpfLink Link) attached)
    {
        try
        {
            _pins?.Pin(attached.Link.Fd, $"{PartOf(_loaded)}/{attached.Name}");
        }
        catch (PinException e) when (e.ErrorNumber == Errno.EINVAL)
        {
        }
    }

    /// <summary>The new maps go on from where the former are.</summary>
    private void AddLosses(PerCpuArray<ulong> former)
    {
        if (_maps.IsAdopted)
        {
            // Then an earlier process has done so, and was ended before it removed them.
            return;
        }
        foreach (var reason in Enum.GetValues<HandshakeLoss>())
        {
            Losses.Write((int)reason, Losses.Read((int)reason) + former.Read((int)reason));
        }
    }

    /// <summary>One object's programs, and how they are attached.</summary>
    private sealed class Loaded : IDisposable
    {
        private readonly BpfObject _object;

        internal Loaded(BpfObject loaded, ulong generation)
        {
            (_object, Generation) = (loaded, generation);
            Steps = new(loaded.Map("handshake_steps"));
        }

        internal ulong Generation { get; }

        internal PerCpuArray<ulong> Steps { get; }

        internal List<(string Name, BpfLink Link)> Links { get; } = [];

        /// <summary>Those that are attached; another list whenever they change.</summary>
        internal IReadOnlyList<BpfProgram> Programs { get; private set; } = [];

        public void Dispose()
        {
            Links.ForEach(attached => attached.Link.Dispose());
            _object.Dispose();
        }

        /// <summary>All, or none.</summary>
        internal void Attach(IReadOnlyList<(string Program, string? Function)> hooks)
        {
            var links = new List<(string Name, BpfLink Link)>();
            var programs = new List<BpfProgram>();
            try
            {
                foreach (var (name, function) in hooks)
                {
                    var program = _object.Program(name);
                    links.Add((name, function is null ? program.AttachTracepoint() : program.AttachKprobe(function)));
                    programs.Add(program);
                }
            }
            catch
            {
                links.ForEach(attached => attached.Link.Dispose());
                throw;
            }
            Links.AddRange(links);
            Programs = [.. Programs, .. programs];
        }
    }
}

/// <summary>Handshakes that were counted with other bounds.</summary>
/// <param name="Bounds">In nanoseconds, ascending.</param>
public sealed record FormerHandshakes(DoubleBufferedMap<HandshakeKey, HandshakeValue> Handshakes, IReadOnlyList<ulong> Bounds);
