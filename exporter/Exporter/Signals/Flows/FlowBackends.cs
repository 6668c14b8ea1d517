using Exporter.Bpf.Netlink;
using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>Asks where a connection really goes, as <see cref="ConntrackClient.Find"/>.</summary>
internal delegate ConntrackResult BackendQuestion(in FlowKey key, Span<byte> backend, out ushort port);

/// <summary>
/// Asks conntrack for the backends behind Services' own addresses: once for a connection of TCP, and in each interval with packets for all others, since nothing
/// shows that another backend has taken over. Where there is no backend it asks again, ever less often. Questions of an interval are limited, and shared by its
/// interfaces: one with few of them gets all its answers. Used by the drain alone.
/// </summary>
/// <param name="perSecond">The most questions a second.</param>
/// <param name="room">The most connections whose backend is remembered.</param>
internal sealed class FlowBackends(int perSecond, int room, BackendQuestion find, FlowMetrics metrics)
{
    /// <summary>The most intervals between two questions for a connection that has no backend: another program than netfilter may translate all of them.</summary>
    private const int LongestPause = 8;

    private readonly Dictionary<FlowKey, Backend> _known = [];
    private readonly List<(FlowKey Key, long Generation)> _wanted = [];
    private readonly List<(FlowKey Key, long Generation)> _wantedAgain = [];
    private readonly Dictionary<long, int> _asked = [];
    private long _interval;

    /// <summary>Begins an interval.</summary>
    internal void Begin() => _interval++;

    /// <summary>Wants the backend of a flow whose pod has connected to a Service's own address.</summary>
    /// <param name="isNew">Whether a connection has begun: the one before may have had another backend.</param>
    internal void Want(in FlowKey key, PodInterface owner, bool isNew)
    {
        if (isNew || !_known.TryGetValue(key, out var known))
        {
            // Another connection may have another backend, or its question may not be answered.
            _known.Remove(key);
            _wanted.Add((key, owner.Generation));
            return;
        }
        _known[key] = known with { SeenIn = _interval };
        if (known.AskIn <= _interval)
        {
            _wantedAgain.Add((key, owner.Generation));
        }
    }

    /// <summary>Asks for all that are wanted, as far as the limit goes.</summary>
    internal void Ask(TimeSpan interval)
    {
        // They come last: of them something is known.
        _wanted.AddRange(_wantedAgain);
        _wantedAgain.Clear();
        var left = (int)Math.Min(int.MaxValue, Math.Ceiling(perSecond * Math.Max(1, interval.TotalSeconds)));
        var share = Math.Max(1, left / Math.Max(1, _wanted.Select(wanted => wanted.Generation).Distinct().Count()));
        // First each interface's share, and then what others have left.
        foreach (var limit in (ReadOnlySpan<int>)[share, int.MaxValue])
        {
            for (var i = 0; i < _wanted.Count && left > 0; i++)
            {
                var (key, generation) = _wanted[i];
                var asked = _asked.GetValueOrDefault(generation);
                if (generation >= 0 && asked < limit)
                {
                    _asked[generation] = asked + 1;
                    _wanted[i] = (key, -1);
                    left--;
                    Ask(key);
                }
            }
        }
        metrics.CountLookups(FlowLookup.Skipped, _wanted.Count(wanted => wanted.Generation >= 0));
        _wanted.Clear();
        _asked.Clear();
        Forget();
    }

    internal bool TryFind(in FlowKey key, out FlowAddress address, out ushort port)
    {
        _ = _known.TryGetValue(key, out var backend);
        (address, port) = (backend.Address, backend.Port);
        return !address.IsNone;
    }

    private void Ask(in FlowKey key)
    {
        Span<byte> address = stackalloc byte[16];
        var backend = address[..key.RemoteBytes.Length];
        try
        {
            var result = find(key, backend, out var port);
            metrics.CountLookups((FlowLookup)result, 1);
            if (result == ConntrackResult.Found && !backend.SequenceEqual(key.RemoteBytes))
            {
                _known[key] = new(FlowAddress.From(backend, key.Family == FlowKey.Ipv6), port, _interval, AskIn: key.IsTcp ? long.MaxValue : _interval + 1, Pause: 0);
            }
            else
            {
                // Its entry may be made, or made again, by a later packet.
                var pause = Math.Clamp(2 * _known.GetValueOrDefault(key).Pause, 1, LongestPause);
                _known[key] = new(default, 0, _interval, AskIn: _interval + pause, pause);
            }
        }
        catch (NetlinkException)
        {
            metrics.CountLookups(FlowLookup.Failed, 1);
        }
    }

    private void Forget()
    {
        if (_known.Count <= room)
        {
            return;
        }
        foreach (var (key, backend) in _known)
        {
            if (backend.SeenIn != _interval)
            {
                // Removing does not disturb the enumeration of a Dictionary.
                _known.Remove(key);
            }
        }
    }

    /// <param name="Address">None: conntrack knows no backend.</param>
    /// <param name="AskIn">The interval from which on it is asked for again.</param>
    /// <param name="Pause">Where there is none, the intervals until then.</param>
    private readonly record struct Backend(FlowAddress Address, ushort Port, long SeenIn, long AskIn, int Pause);
}
