using Exporter.Bpf.Netlink;
using Exporter.Pods;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>
/// Asks conntrack for the backends behind Services' own addresses, once for each connection. Questions of an interval are limited, and shared by its interfaces:
/// one with few of them gets all its answers. Used by the drain alone.
/// </summary>
/// <param name="perSecond">The most questions a second.</param>
/// <param name="room">The most connections whose backend is remembered.</param>
internal sealed class FlowBackends(int perSecond, int room, ConntrackClient conntrack, FlowMetrics metrics)
{
    private readonly Dictionary<FlowKey, Backend> _known = [];
    private readonly List<(FlowKey Key, long Generation)> _wanted = [];
    private readonly Dictionary<long, int> _asked = [];
    private long _interval;

    /// <summary>Begins an interval.</summary>
    internal void Begin() => _interval++;

    /// <summary>Wants the backend of a flow whose pod has connected to a Service's own address.</summary>
    /// <param name="isNew">Whether a connection has begun: the one before may have had another backend.</param>
    internal void Want(in FlowKey key, PodInterface owner, bool isNew)
    {
        if (!isNew && _known.TryGetValue(key, out var known))
        {
            _known[key] = known with { SeenIn = _interval };
        }
        else
        {
            // Another connection may have another backend, or its question may not be answered.
            _known.Remove(key);
            _wanted.Add((key, owner.Generation));
        }
    }

    /// <summary>Asks for all that are wanted, as far as the limit goes.</summary>
    internal void Ask(TimeSpan interval)
    {
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
            var result = conntrack.Find(key.Protocol, key.LocalBytes, key.LocalPortNumber, key.RemoteBytes, key.RemotePortNumber, backend, out var port);
            metrics.CountLookups((FlowLookup)result, 1);
            // One that has none is not asked for again, until another connection begins.
            _known[key] = result == ConntrackResult.Found && !backend.SequenceEqual(key.RemoteBytes)
                ? new(FlowAddress.From(backend, key.Family == FlowKey.Ipv6), port, _interval)
                : new(default, 0, _interval);
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
    private readonly record struct Backend(FlowAddress Address, ushort Port, long SeenIn);
}
