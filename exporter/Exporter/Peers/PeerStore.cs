using Exporter.Health;

namespace Exporter.Peers;

/// <summary>
/// What the API server has said of Services, their backends and nodes. Changes touch only the buckets of their addresses, and a new table is published
/// at most once a second. Without an API server it keeps what it knows. Any thread may call it.
/// </summary>
internal sealed partial class PeerStore : IDisposable
{
    /// <summary>The limit for all objects together, each counting each of its addresses. One takes about 100 bytes.</summary>
    internal const int MaxAddresses = 262_144;

    /// <summary>The limit for one object. A Service or EndpointSlice has hardly ever more than ten.</summary>
    internal const int MaxPorts = 1024;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly PeerMetrics _metrics;
    private readonly ITimer _timer;
    private readonly Dictionary<(string Namespace, string Object), Held>[] _objects = [[], [], []];
    private readonly PeerNames _names = new();
    private readonly PeerEntry[][] _buckets = PeerTable.EmptyBuckets();
    private readonly Trouble _full = new();
    private readonly Trouble _manyPorts = new();
    private PeerClasses _classes;
    private PeerTable _table;
    private long? _publishedAt;
    private bool _isDirty;
    private int _addresses;

    /// <summary>A bit for each role whose objects were listed.</summary>
    private int _listed;

    internal PeerStore(PeerClasses classes, PeerMetrics metrics, TimeProvider time, ILogger logger)
    {
        (_classes, _table, _metrics, _time, _logger) = (classes, PeerTable.Of(classes), metrics, time, logger);
        _timer = time.CreateTimer(_ => PublishDue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The newest table, which is at most a second behind the store.</summary>
    internal PeerTable Table => Volatile.Read(ref _table);

    /// <summary>Whether the objects of each role were listed once, and the table has them.</summary>
    internal bool IsListed => Volatile.Read(ref _listed) == (1 << _objects.Length) - 1;

    /// <summary>Takes other classes, at once.</summary>
    internal void Configure(PeerClasses classes)
    {
        lock (_lock)
        {
            _classes = classes;
            Publish();
        }
    }

    /// <summary>Takes an object that was added or changed.</summary>
    internal void Set(in PeerFacts facts)
    {
        lock (_lock)
        {
            OnChanged(Apply(facts));
        }
    }

    /// <summary>Forgets an object that was deleted.</summary>
    internal void Remove(PeerRole role, string @namespace, string name)
    {
        lock (_lock)
        {
            OnChanged(Drop(role, (@namespace, name)));
        }
    }

    /// <summary>Takes the list of all objects of a role, and forgets those that are not in it.</summary>
    internal void Replace(PeerRole role, IEnumerable<PeerFacts> listed)
    {
        lock (_lock)
        {
            var (all, hasChanged) = (listed.ToList(), false);
            var missing = _objects[(int)role].Keys.ToHashSet();
            missing.ExceptWith(all.Select(facts => (facts.Namespace, facts.Object)));
            foreach (var key in missing)
            {
                hasChanged |= Drop(role, key);
            }
            foreach (var facts in all)
            {
                hasChanged |= Apply(facts);
            }
            if ((_listed & (1 << (int)role)) == 0)
            {
                // Records wait for the first one.
                Publish();
                Volatile.Write(ref _listed, _listed | (1 << (int)role));
                return;
            }
            OnChanged(hasChanged);
        }
    }

    public void Dispose() => _timer.Dispose();

    /// <returns>Whether the table has to change.</returns>
    private bool Apply(in PeerFacts facts)
    {
        var objects = _objects[(int)facts.Role];
        objects.TryGetValue((facts.Namespace, facts.Object), out var held);
        var before = held?.Addresses ?? [];
        var room = MaxAddresses - (_addresses - before.Length);
        UInt128[] addresses = facts.Name.Length == 0 ? [] : Distinct(facts.Addresses.Select(PeerAddress.Key));
        if (Limit(ref addresses, room) && _full.Begins())
        {
            LogFull(MaxAddresses);
        }
        if (addresses.Length == 0)
        {
            return Drop(facts.Role, (facts.Namespace, facts.Object));
        }
        var ports = Distinct(facts.Ports);
        if (Limit(ref ports, MaxPorts) && _manyPorts.Begins())
        {
            LogManyPorts(facts.Namespace, facts.Name, MaxPorts);
        }
        if (held?.Source.IsSame(facts, ports) == true)
        {
            if (addresses.AsSpan().SequenceEqual(before))
            {
                return false;
            }
            Move(before, addresses, held.Source);
            held.Addresses = addresses;
        }
        else
        {
            Drop(facts.Role, (facts.Namespace, facts.Object));
            var source = new PeerSource(facts.Role, _names.Take(facts.Namespace), _names.Take(facts.Name), ports);
            Move([], addresses, source);
            objects.Add((source.Namespace, facts.Object), new(source, addresses));
            before = [];
        }
        _addresses += addresses.Length - before.Length;
        return true;
    }

    private bool Drop(PeerRole role, (string Namespace, string Object) key)
    {
        if (!_objects[(int)role].Remove(key, out var held))
        {
            return false;
        }
        Move(held.Addresses, [], held.Source);
        _addresses -= held.Addresses.Length;
        _names.Release(held.Source.Namespace);
        _names.Release(held.Source.Name);
        if (_addresses < MaxAddresses / 2)
        {
            _full.Ends();
        }
        return true;
    }

    /// <summary>Gives the source the addresses of the second list instead of those of the first. Both ascend.</summary>
    private void Move(ReadOnlySpan<UInt128> from, ReadOnlySpan<UInt128> to, PeerSource source)
    {
        while (from.Length + to.Length > 0)
        {
            if (to.Length == 0 || (from.Length > 0 && from[0] < to[0]))
            {
                Change(from[0], source, isAdded: false);
                from = from[1..];
            }
            else if (from.Length == 0 || to[0] < from[0])
            {
                Change(to[0], source, isAdded: true);
                to = to[1..];
            }
            else
            {
                from = from[1..];
                to = to[1..];
            }
        }
    }

    /// <summary>Puts a new bucket in the place of the address's: published tables keep the previous one.</summary>
    private void Change(UInt128 address, PeerSource source, bool isAdded)
    {
        ref var bucket = ref _buckets[PeerTable.BucketOf(address)];
        var index = PeerTable.IndexIn(bucket, address);
        if (index < 0)
        {
            if (isAdded)
            {
                bucket = [.. bucket.AsSpan(0, ~index), new(address, source.Alone), .. bucket.AsSpan(~index)];
            }
            return;
        }
        var others = bucket[index].Sources;
        PeerSource[] sources = isAdded ? [.. others, source] : [.. others.Where(other => !ReferenceEquals(other, source))];
        switch (sources.Length)
        {
            case 0:
                bucket = [.. bucket.AsSpan(0, index), .. bucket.AsSpan(index + 1)];
                break;
            case 1:
                bucket = [.. bucket];
                bucket[index] = new(address, sources[0].Alone);
                break;
            default:
                Array.Sort(sources);
                bucket = [.. bucket];
                bucket[index] = new(address, sources);
                break;
        }
    }

    /// <returns>Whether some were refused.</returns>
    private bool Limit<T>(ref T[] values, int most)
    {
        if (values.Length <= most)
        {
            return false;
        }
        _metrics.Refused.Inc(values.Length - most);
        values = values[..most];
        return true;
    }

    private static T[] Distinct<T>(IEnumerable<T> values)
        where T : IComparable<T>, IEquatable<T>
    {
        T[] sorted = [.. values];
        Array.Sort(sorted);
        var length = 0;
        foreach (var value in sorted)
        {
            if (length == 0 || !sorted[length - 1].Equals(value))
            {
                sorted[length++] = value;
            }
        }
        return length == sorted.Length ? sorted : sorted[..length];
    }

    /// <summary>Publishes at once if the previous table is old enough, and else when it will be.</summary>
    private void OnChanged(bool hasChanged)
    {
        if (!hasChanged || _isDirty)
        {
            return;
        }
        var rest = _publishedAt is { } at ? Interval - _time.GetElapsedTime(at) : TimeSpan.Zero;
        if (rest.Ticks <= 0)
        {
            Publish();
            return;
        }
        _isDirty = true;
        _timer.Change(rest, Timeout.InfiniteTimeSpan);
    }

    private void PublishDue()
    {
        lock (_lock)
        {
            if (_isDirty)
            {
                Publish();
            }
        }
    }

    private void Publish()
    {
        (_isDirty, _publishedAt) = (false, _time.GetTimestamp());
        Volatile.Write(ref _table, new((PeerEntry[][])_buckets.Clone(), _classes));
        _metrics.Addresses.Set(_addresses);
    }

    [LoggerMessage(450, LogLevel.Warning, "There are more than {Most} addresses of Services, their backends and nodes. Peers at further addresses are shown by their class, until there is room and their objects change or are listed again, and are counted in podnet_exporter_peer_addresses_refused_total; open an issue if your cluster needs more")]
    private partial void LogFull(int most);

    [LoggerMessage(451, LogLevel.Warning, "Service {Namespace}/{Name} has more than {Most} ports: its peers at further ports are shown by their class, and these ports are counted in podnet_exporter_peer_addresses_refused_total. Further Services like it are only counted; open an issue if your cluster needs more")]
    private partial void LogManyPorts(string @namespace, string name, int most);

    /// <summary>An object and its addresses, ascending.</summary>
    private sealed class Held(PeerSource source, UInt128[] addresses)
    {
        internal PeerSource Source => source;

        internal UInt128[] Addresses { get; set; } = addresses;
    }
}
