using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Signals;
using Exporter.Signals.Objects;

namespace Exporter.Kernel.Tests.SocketStates;

/// <summary>The program of the signal, attached to a tracepoint. Its link is pinned, so that it counts while no process runs.</summary>
internal sealed class LoadedSocketStates : LoadedSignal, IReplaceable
{
    private const string LinksPart = "socket_states_links";
    private const string LinkPin = $"{LinksPart}/link";

    private readonly PinDirectory? _pins;
    private readonly LoadedObject _object;
    private readonly SignalMaps<SocketStatesKey, SocketStatesValue> _maps;
    private BpfProgram _program;
    private BpfLink _link;

    internal LoadedSocketStates(LoadContext context)
    {
        _pins = context.Pins;
        _object = LoadedObject.Load(
            SocketStatesSignal.Name,
            [MapSetPlan.OfPair(SocketStatesSignal.Name, new("", SocketStatesValue.Fields.Names), entries: null)],
            _pins,
            elf: ReadEmbedded());
        _maps = new(_object[SocketStatesSignal.Name], SocketStatesSignal.Name, SocketStatesValue.Fields, context.IsCommitted, rereads: true);
        _pins?.Remove(LinksPart);
        (_program, _link) = Attach(_object.Current);
        _maps.EndPrevious();
    }

    public string Name => SocketStatesSignal.Name;

    public IReadOnlyList<BpfProgram> Programs => [_program];

    internal override bool IsCounting => true;

    internal override IEnumerable<int> Pairs => _maps.Pairs;

    internal override IReadOnlyList<MapUsage> Maps => [new(SocketStatesSignal.Name, _maps.Current.MaxEntries, () => _maps.Current.Entries)];

    internal override IReplaceable Object => this;

    internal override SignalDrain Open(Signal signal, SessionContext context)
    {
        var socketStates = (SocketStatesSignal)signal;
        var rows = new KilledRows(_maps, socketStates.KilledAt);
        var drain = new SocketStatesDrain(rows, context);
        drain.Observers.Add(rows);
        if (socketStates.Observed.Length > 0)
        {
            drain.Observers.Add(new RowFile(socketStates.Observed));
        }
        return drain;
    }

    public Task ReplaceAsync(byte[] elf, IInterfacePrograms attached, CancellationToken cancellationToken)
    {
        var next = _object.LoadNext(elf);
        var previous = _link;
        _pins?.Remove(LinksPart);
        (_program, _link) = Attach(next);
        previous.Dispose();
        _object.Replace(next).Dispose();
        return Task.CompletedTask;
    }

    internal override void Detach()
    {
        _pins?.Remove(LinksPart);
        _link.Dispose();
    }

    public override void Dispose() => _object.Dispose();

    internal static byte[] ReadEmbedded()
    {
        using var stream = typeof(LoadedSocketStates).Assembly.GetManifestResourceStream("socket_states.bpf.o")!;
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }

    private (BpfProgram Program, BpfLink Link) Attach(BpfObject loaded)
    {
        var program = loaded.Program("podnet_test_state");
        var link = program.AttachTracepoint();
        if (_pins is not null)
        {
            _pins.MakePart(LinksPart);
            _pins.Pin(link, LinkPin);
        }
        return (program, link);
    }
}
