using System.Text.Json;
using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.Metrics;
using Exporter.Signals.Objects;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Signals.Uplinks;

/// <summary>The programs of uplinks, loaded while the options want any, and the interfaces that they count.</summary>
internal sealed partial class LoadedUplinks : LoadedSignal, IReplaceable
{
    private readonly LoadContext _context;
    private readonly TimeProvider _time = TimeProvider.System;

    /// <summary>Held while programs are attached, detached or replaced.</summary>
    private readonly Lock _lock = new();

    private ILogger _logger = NullLogger.Instance;
    private UplinkOptions _options;
    private UplinkPrograms? _programs;
    private UplinkTable? _table;
    private UplinkAttaching? _attaching;
    private UplinkLoop? _loop;
    private string? _problem;

    /// <summary>Whether programs of a previous process are taken over.</summary>
    private bool _isAdopted;

    internal LoadedUplinks(LoadContext context, UplinkOptions options)
    {
        (_context, _options) = (context, options);
        if (options.IsOn)
        {
            TryLoad();
        }
        else if (context.Pins is { } pins && UplinkPrograms.HasPinned(pins))
        {
            // What a previous process has left attached is taken over, to be detached.
            _ = TryLoad() && TryAdopt();
            Unload();
            _problem = null;
        }
    }

    public string Name => UplinkPrograms.ObjectName;

    public IReadOnlyList<BpfProgram> Programs => Volatile.Read(ref _programs)?.All ?? [];

    internal override bool IsCounting => _programs is not null;

    /// <summary>Its map only grows, and is read by records.</summary>
    internal override IEnumerable<int> Pairs => [];

    internal override IReadOnlyList<MapUsage> Maps => [];

    internal override IReadOnlyList<(string Name, string Hook)> Hooks => !_options.IsOn ? [("uplink", "off")]
        : _programs is null ? [("uplink", "unavailable")]
        : [.. (_table?.All ?? []).Where(uplink => uplink.LeftAt is null).Select(uplink => _attaching?.NameOf(uplink)).OfType<string>().Distinct().Order(StringComparer.Ordinal).Select(hook => ("uplink", hook))];

    internal override IReplaceable Object => this;

    internal override SignalPage Page => new("uplinks", SignalPage.Json, WriteDocument);

    internal override IReadOnlyList<(string Name, string Text)> CheckLines => UplinkCheck.Describe(_options, _programs, _problem);

    internal override SignalDrain? Open(Signal signal, SessionContext context)
    {
        lock (_lock)
        {
            (_options, _loop) = (((UplinkSignal)signal).Options, null);
            // The family outlives the session before: all zero, until the loop counts.
            _ = new UplinkMetrics(context.Metrics);
            if (!_options.IsOn)
            {
                Unload();
                return null;
            }
            if ((_programs is null && !TryLoad()) || (!_isAdopted && !TryAdopt()))
            {
                LogUnavailable(_logger, _problem!);
                return null;
            }
            _attaching = new(_programs!, _table!, _options, _time, _logger);
            var rows = new UplinkRows(_table!, _programs!, context.Ledger);
            foreach (var uplink in _table!.All)
            {
                uplink.Account = context.Series.AcquireInterface(uplink.Link.Name);
                uplink.BeginSession();
                rows.Begin(uplink, isNew: false);
            }
            rows.ForgetOthers();
            var drain = new UplinkDrain(rows, _table, _programs!, context);
            drain.Follow = _loop = new(_options, _table, rows, _attaching, drain, context, _logger, _lock);
            return drain;
        }
    }

    public Task ReplaceAsync(byte[] elf, IInterfacePrograms attached, CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            lock (_lock)
            {
                if (_programs is null)
                {
                    throw new BpfException($"replace the BPF object {Name}", Errno.ENOENT, "no uplink is counted: Uplinks:Interfaces is empty");
                }
                UplinkExchange.Replace(_programs, _programs.LoadNext(elf), _table!.All);
            }
        },
        cancellationToken);

    internal override void LogState(ILogger logger, TimeProvider time)
    {
        _logger = logger;
        if (_problem is not null)
        {
            LogUnavailable(logger, _problem);
        }
    }

    internal override void Detach()
    {
        lock (_lock)
        {
            DetachAll();
        }
    }

    /// <summary>Leaves pinned programs attached.</summary>
    public override void Dispose()
    {
        if (_context.Pins is null or { IsLost: true })
        {
            Detach();
        }
        _programs?.Dispose();
    }

    /// <summary>Loads the programs; nothing else changes. Returns false where the kernel refused.</summary>
    private bool TryLoad() => Try(() =>
    {
        var programs = UplinkPrograms.Load(_context);
        (_programs, _table, _isAdopted) = (programs, new(programs.Slots), false);
    });

    /// <summary>Takes over what a previous process has left attached. Returns false where the kernel refused; it can be tried again.</summary>
    private bool TryAdopt() => Try(() =>
    {
        using var client = new LinkClient();
        var links = client.GetNodeLinks();
        _table!.Restore(links, _time.GetUtcNow());
        Adopt(_programs!, links);
        _isAdopted = true;
    });

    private bool Try(Action action)
    {
        try
        {
            action();
            _problem = null;
            return true;
        }
        catch (KernelException e)
        {
            _problem = e.Message;
            return false;
        }
    }

    /// <summary>What cannot be taken over is attached again by the loop.</summary>
    private void Adopt(UplinkPrograms programs, IReadOnlyList<NodeLink> links)
    {
        var problems = new List<Exception>();
        var present = _table!.All.Where(uplink => uplink.LeftAt is null).ToDictionary(uplink => uplink.Link.Ifindex);
        foreach (var attachment in programs.Tc.Adopt(problems))
        {
            if (!present.TryGetValue(attachment.Ifindex, out var uplink))
            {
                attachment.Dispose();
            }
            else if (attachment.Direction == TcDirection.Egress)
            {
                uplink.Egress = attachment;
            }
            else
            {
                uplink.Ingress = attachment;
            }
        }
        foreach (var attachment in programs.Xdp.Adopt(programs.Receive, problems))
        {
            if (present.TryGetValue(attachment.Ifindex, out var uplink))
            {
                (uplink.Xdp, uplink.IsGeneric) = (attachment, links.First(link => link.Ifindex == attachment.Ifindex).Xdp.Mode == XdpMode.Generic);
            }
            else
            {
                attachment.Dispose();
            }
        }
        programs.Tc.RemoveStrays();
        _table.Publish();
    }

    private void Unload()
    {
        DetachAll();
        _programs?.Dispose();
        (_programs, _table, _attaching) = (null, null, null);
        if (_context.Pins is { IsLost: false } pins)
        {
            UplinkPrograms.RemovePinned(pins);
        }
    }

    private void DetachAll()
    {
        foreach (var uplink in _table?.All ?? [])
        {
            UplinkAttaching.Detach(uplink);
        }
    }

    private byte[] WriteDocument()
    {
        var (attaching, loop) = (_attaching, _loop);
        return JsonSerializer.SerializeToUtf8Bytes(
            new UplinksDocument(
                _time.GetUtcNow(),
                [.. (_table?.All ?? []).OrderBy(uplink => uplink.Link.Ifindex).Select(uplink => UplinksDocument.EntryOf(uplink, attaching))],
                [.. (loop?.WithoutSlot ?? []).Select(link => link.Name)],
                [.. (loop?.WithoutEthernet ?? []).Select(link => link.Name)]),
            UplinksDocumentContext.Default.UplinksDocument);
    }

    [LoggerMessage(127, LogLevel.Error, "Uplinks cannot be counted on this kernel; pods still are: {Reason}")]
    private static partial void LogUnavailable(ILogger logger, string reason);
}
