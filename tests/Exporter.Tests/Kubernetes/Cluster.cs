using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;

namespace Exporter.Tests.Kubernetes;

/// <summary>
/// The pods of a cluster and their history, as an API server has them: one rising version for all, lists of any version that is not
/// forgotten yet, watches from there on. Safe for concurrent use.
/// </summary>
internal sealed class Cluster
{
    private readonly Lock _lock = new();
    private readonly List<Change> _history = [];
    private readonly List<ClusterWatch> _watches = [];
    private ImmutableSortedDictionary<string, StoredPod> _pods = ImmutableSortedDictionary.Create<string, StoredPod>(StringComparer.Ordinal);
    private ImmutableSortedDictionary<string, StoredPod> _oldestPods = ImmutableSortedDictionary.Create<string, StoredPod>(StringComparer.Ordinal);
    private long _oldest;
    private long _version;

    /// <param name="version">The version before the first change.</param>
    internal Cluster(long version = 1000)
    {
        _version = version;
        _oldest = version;
    }

    /// <summary>Every so many changes, a bookmark follows to the watches that allow them; 0 for never.</summary>
    internal int BookmarkEvery { get; set; }

    /// <summary>Without one, the API server answers every list from its storage, in pages.</summary>
    internal bool HasWatchCache { get; set; } = true;

    internal long Version
    {
        get
        {
            lock (_lock)
            {
                return _version;
            }
        }
    }

    internal IReadOnlyList<ClusterPod> Pods
    {
        get
        {
            lock (_lock)
            {
                return [.. _pods.Values.Select(stored => stored.Pod)];
            }
        }
    }

    internal int OpenWatches
    {
        get
        {
            lock (_lock)
            {
                return _watches.Count;
            }
        }
    }

    /// <returns>The pod with its uid and version.</returns>
    internal ClusterPod Add(ClusterPod pod)
    {
        lock (_lock)
        {
            return _pods.ContainsKey(pod.Key)
                ? throw new ArgumentException($"There is a pod {pod.Key} already.", nameof(pod))
                : Store(pod.Uid.Length > 0 ? pod : pod with { Uid = Guid.NewGuid().ToString() }, isThere: true);
        }
    }

    internal ClusterPod Modify(string podNamespace, string name, Func<ClusterPod, ClusterPod> change)
    {
        lock (_lock)
        {
            return Store(change(Get(podNamespace, name)), isThere: true);
        }
    }

    /// <summary>As a kubelet reports it; the start time is set with the first report, and containers that run have just been started.</summary>
    internal ClusterPod SetStatus(string podNamespace, string name, string phase, params string[] podIps)
    {
        var now = DateTimeOffset.UtcNow;
        return Modify(podNamespace, name, pod => pod with { Phase = phase, PodIps = podIps, StartTime = pod.StartTime ?? now, StartedAt = now });
    }

    /// <returns>The pod as the watches saw it last.</returns>
    internal ClusterPod Delete(string podNamespace, string name)
    {
        lock (_lock)
        {
            return Store(Get(podNamespace, name), isThere: false);
        }
    }

    /// <summary>The version rises without a change of any pod, as by other objects.</summary>
    internal long Advance(int by = 1)
    {
        lock (_lock)
        {
            return _version += by;
        }
    }

    /// <summary>Forgets the history: older versions are gone, for new watches and for lists that are being continued.</summary>
    internal void Compact()
    {
        lock (_lock)
        {
            _history.Clear();
            _oldest = _version;
            _oldestPods = _pods;
        }
    }

    /// <summary>A bookmark for every watch that allows them.</summary>
    internal void Bookmark()
    {
        lock (_lock)
        {
            SendBookmarks();
        }
    }

    /// <summary>Ends every open watch cleanly, as when its time is up.</summary>
    internal void EndWatches()
    {
        lock (_lock)
        {
            foreach (var watch in _watches)
            {
                watch.Complete();
            }
            _watches.Clear();
        }
    }

    /// <summary>One page; ends with a newline.</summary>
    /// <param name="node">Null for the pods of all nodes.</param>
    /// <param name="version">0 for what there is.</param>
    /// <exception cref="ApiFailure">The version or the token is gone, too high or not valid.</exception>
    internal byte[] List(string? node, long version = 0, bool exact = false, int limit = 0, string? continued = null)
    {
        ImmutableSortedDictionary<string, StoredPod> pods;
        var from = "";
        lock (_lock)
        {
            if (continued is not null)
            {
                (version, from) = ReadToken(continued);
                exact = version > 0;
                if (exact && version < _oldest)
                {
                    throw ApiFailure.ContinueExpired(Token(-1, from));
                }
            }
            if (version > _version)
            {
                throw ApiFailure.TooLarge(version, _version);
            }
            if (exact && version < _oldest)
            {
                throw ApiFailure.ListTooOld();
            }
            pods = exact ? _history.FindLast(change => change.Version <= version)?.Pods ?? _oldestPods : _pods;
            version = exact ? version : _version;
        }
        StoredPod[] rest = [.. pods.Where(pod => string.CompareOrdinal(pod.Key, from) >= 0 && IsOf(node, pod.Value)).Select(pod => pod.Value)];
        return Page(version, rest, limit > 0 ? limit : int.MaxValue, node is null);
    }

    /// <param name="node">Null for the pods of all nodes.</param>
    /// <param name="version">0 to begin with an ADDED event for each pod.</param>
    internal ClusterWatch Watch(string? node, long version, bool bookmarks)
    {
        lock (_lock)
        {
            var watch = new ClusterWatch(this, node, version > 0 ? version : _version, bookmarks);
            if (version > 0 && version < _oldest)
            {
                watch.Send(ApiFailure.TooOld(version, _oldest).Event);
                watch.Complete();
                return watch;
            }
            if (version == 0)
            {
                foreach (var pod in _pods.Values.Where(pod => IsOf(node, pod)))
                {
                    watch.Send(Event("ADDED", pod.Json));
                }
                if (bookmarks)
                {
                    watch.Send(BookmarkEvent(_version, ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}"));
                }
            }
            foreach (var change in _history)
            {
                Send(change, watch);
            }
            _watches.Add(watch);
            return watch;
        }
    }

    internal void Forget(ClusterWatch watch)
    {
        lock (_lock)
        {
            _watches.Remove(watch);
        }
    }

    private static bool IsOf(string? node, StoredPod? pod) => pod is not null && (node is null || node == (pod.Pod.NodeName ?? ""));

    private static byte[] Event(string type, byte[] document) =>
        [.. Encoding.UTF8.GetBytes($$"""{"type":"{{type}}","object":{"kind":"Pod","apiVersion":"v1","""), .. document.AsSpan(1), .. "}\n"u8];

    private static byte[] BookmarkEvent(long version, string annotations = "") =>
        Encoding.UTF8.GetBytes($$$"""{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"{{{version}}}"{{{annotations}}}""" + """},"spec":{"containers":null},"status":{}}}""" + "\n");

    private static void Send(Change change, ClusterWatch watch)
    {
        var type = (IsOf(watch.Node, change.Before), IsOf(watch.Node, change.After)) switch
        {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            _ => null,
        };
        if (type is not null && change.Version > watch.From)
        {
            watch.Send(Event(type, change.Json), change.Timestamp);
        }
    }

    private static byte[] Page(long version, ReadOnlySpan<StoredPod> rest, int limit, bool countRemaining)
    {
        using var page = new MemoryStream();
        page.Write(Encoding.UTF8.GetBytes($$$"""{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"{{{version}}}""" + "\""));
        if (rest.Length > limit)
        {
            page.Write(Encoding.UTF8.GetBytes($",\"continue\":\"{Token(version, rest[limit - 1].Pod.Key + "\0")}\""));
            page.Write(Encoding.UTF8.GetBytes(countRemaining ? $",\"remainingItemCount\":{rest.Length - limit}" : ""));
        }
        page.Write("},\"items\":["u8);
        for (var index = 0; index < Math.Min(limit, rest.Length); index++)
        {
            page.Write(index > 0 ? ","u8 : default);
            page.Write(rest[index].Json);
        }
        page.Write("]}\n"u8);
        return page.ToArray();
    }

    private static string Token(long version, string from) =>
        System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes($$"""{"v":"meta.k8s.io/v1","rv":{{version.ToString(CultureInfo.InvariantCulture)}},"start":{{JsonSerializer.Serialize((version > 0 ? "/" : "") + from)}}}"""));

    private static (long Version, string From) ReadToken(string token)
    {
        try
        {
            using var json = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(token));
            return (json.RootElement.GetProperty("rv").GetInt64(), json.RootElement.GetProperty("start").GetString()!.TrimStart('/'));
        }
        catch (Exception invalid) when (invalid is FormatException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw ApiFailure.BadRequest("invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value");
        }
    }

    private ClusterPod Get(string podNamespace, string name) => _pods[new ClusterPod(podNamespace, name).Key].Pod;

    private ClusterPod Store(ClusterPod pod, bool isThere)
    {
        pod = pod with { ResourceVersion = ++_version };
        var stored = new StoredPod(pod, pod.ToJson());
        var before = _pods.GetValueOrDefault(pod.Key);
        _pods = isThere ? _pods.SetItem(pod.Key, stored) : _pods.Remove(pod.Key);
        var change = new Change(_version, before, isThere ? stored : null, stored.Json, _pods, Stopwatch.GetTimestamp());
        _history.Add(change);
        foreach (var watch in _watches)
        {
            Send(change, watch);
        }
        if (BookmarkEvery > 0 && _history.Count % BookmarkEvery == 0)
        {
            SendBookmarks();
        }
        return pod;
    }

    private void SendBookmarks()
    {
        foreach (var watch in _watches.Where(watch => watch.Bookmarks && _version >= watch.From))
        {
            watch.Send(BookmarkEvent(_version));
        }
    }

    private sealed record StoredPod(ClusterPod Pod, byte[] Json);

    private sealed record Change(
        long Version, StoredPod? Before, StoredPod? After, byte[] Json, ImmutableSortedDictionary<string, StoredPod> Pods, long Timestamp);
}

/// <summary>The events of a watch, each a line.</summary>
internal sealed class ClusterWatch(Cluster cluster, string? node, long from, bool bookmarks) : IDisposable
{
    private readonly Channel<ClusterEvent> _events = Channel.CreateUnbounded<ClusterEvent>();

    internal string? Node => node;

    /// <summary>Sees only later versions.</summary>
    internal long From => from;

    internal bool Bookmarks => bookmarks;

    internal ChannelReader<ClusterEvent> Events => _events.Reader;

    public void Dispose() => cluster.Forget(this);

    internal void Send(byte[] line, long? timestamp = null) => _events.Writer.TryWrite(new(line, timestamp ?? Stopwatch.GetTimestamp()));

    internal void Complete() => _events.Writer.TryComplete();
}

/// <param name="Timestamp">When it happened, of the Stopwatch.</param>
internal sealed record ClusterEvent(byte[] Line, long Timestamp);
