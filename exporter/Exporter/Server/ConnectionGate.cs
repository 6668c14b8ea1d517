using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using Exporter.Bpf;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Exporter.Server;

/// <summary>
/// Bounds the server's connections. When Server:MaxConnections are open, a new connection takes the place of the one whose client has kept the
/// server waiting for longest without a complete request, or else of the one that has been idle for longest: whoever opens connections and
/// says nothing keeps no probe out. Connections without a complete request are closed after Server:HeaderTimeout, TLS handshakes included.
/// </summary>
internal sealed partial class ConnectionGate : IDisposable
{
    /// <summary>
    /// How long a connection is left in peace whose first message waits for the server, or whose client waits for the rest of a handshake: neither
    /// may be at fault where CPUs are scarce.
    /// </summary>
    internal static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// How many TLS handshakes may wait for the server at once: more would only wait for each other. Of those that wait here the newest is next,
    /// since its client is the least likely to have given up; in a flood the oldest lose their places instead.
    /// </summary>
    private const int MaxBeginning = 16;

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(1);

    private readonly int _max;
    private readonly bool _isTls;
    private readonly TimeSpan _headerTimeout;
    private readonly ServerRefusals _refusals;
    private readonly TimeProvider _time;
    private readonly ILogger<ConnectionGate> _logger;
    private readonly ITimer _sweep;

    /// <summary>Those that are sockets only, by key.</summary>
    private readonly ConcurrentDictionary<ulong, ClientConnection> _arriving = new();

    /// <summary>Held for a few list operations, and while a connection is added to its door's poll; never while one is closed.</summary>
    private readonly Lock _lock = new();

    /// <summary>Connections that are sockets only, oldest first.</summary>
    private readonly LinkedList<ClientConnection> _silent = [];

    /// <summary>Connections in Kestrel whose client has to say more before there is a request; the one that has had most time for it first.</summary>
    private readonly LinkedList<ClientConnection> _unfinished = [];

    /// <summary>Connections whose first message waits for the server: for a handshake, or for the request to be read. Oldest first.</summary>
    private readonly LinkedList<ClientConnection> _queued = [];

    /// <summary>TLS connections in Kestrel that wait for the server's part of the handshake, oldest first.</summary>
    private readonly LinkedList<ClientConnection> _handshaking = [];

    /// <summary>Connections between two requests, the one that has been idle for longest first.</summary>
    private readonly LinkedList<ClientConnection> _idle = [];

    private int _open;

    /// <summary>TLS connections that Kestrel has to do with: for the server's part of the handshake, or for their end.</summary>
    private int _beginning;
    private ulong _lastKey;

    /// <summary>How many connections had to be closed that were more than a socket.</summary>
    private long _closed;

    /// <summary>Values of <see cref="_closed"/> at the last sweep, and at the last sweep that gave memory back. For the sweep alone.</summary>
    private long _closedBefore;
    private long _closedAtTrim;
    private bool _isEnding;
    private bool _isFull;

    public ConnectionGate(ServerOptions options, ServerRefusals refusals, TimeProvider time, ILogger<ConnectionGate> logger)
    {
        (_max, _isTls, _headerTimeout, _refusals, _time, _logger) = (options.MaxConnections, options.HasTls, options.HeaderTimeout, refusals, time, logger);
        _sweep = time.CreateTimer(_ => Sweep(), null, SweepInterval, SweepInterval);
    }

    /// <summary>How many connections run a request.</summary>
    internal int Running
    {
        get
        {
            lock (_lock)
            {
                return _open - _silent.Count - _unfinished.Count - _queued.Count - _handshaking.Count - _idle.Count;
            }
        }
    }

    /// <summary>Gives an accepted connection a place, for which it may close another.</summary>
    /// <returns>Whether there is one: not while every connection runs a request or is left in peace, and not at the end.</returns>
    /// <exception cref="IOException">The kernel has no room for it in the door's poll.</exception>
    internal bool TryAdmit(Socket socket, FrontDoor door)
    {
        while (true)
        {
            ClientConnection? victim = null;
            ClientConnection? admitted = null;
            var hasFilled = false;
            lock (_lock)
            {
                if (_isEnding)
                {
                    return false;
                }
                if (_open >= _max)
                {
                    victim = FindVictim();
                    if (victim is null)
                    {
                        return false;
                    }
                    hasFilled = !_isFull;
                    _isFull = true;
                }
                else
                {
                    admitted = new(socket, door, ++_lastKey, _time.GetTimestamp());
                    // First: another door's thread may hand over what it finds in the lists, and removes it from the poll.
                    door.Watch(admitted);
                    _open++;
                    admitted.MoveTo(_silent);
                    _arriving[admitted.Key] = admitted;
                }
            }
            if (hasFilled)
            {
                LogFull(_max);
            }
            if (admitted is not null)
            {
                return true;
            }
            // What has arrived of it meanwhile counts.
            if (victim!.Stage != ConnectionStage.Arriving || !Look(victim))
            {
                Close(victim, RefusalReason.Connections, "another connection needs its place");
            }
        }
    }

    /// <summary>Closes an accepted connection that has no place.</summary>
    internal void Refuse(Socket socket)
    {
        _refusals.Count(RefusalReason.Connections);
        socket.Dispose();
    }

    /// <summary>Something has arrived on the connection of this key.</summary>
    internal void Look(ulong key)
    {
        if (_arriving.TryGetValue(key, out var connection))
        {
            Look(connection);
        }
    }

    /// <summary>Makes Kestrel's connection of one that was handed to it.</summary>
    /// <returns>False: it was closed meanwhile.</returns>
    internal bool TryTake(ClientConnection connection, SocketConnectionContextFactory contexts)
    {
        ClientConnection? next;
        lock (_lock)
        {
            if (!connection.IsForgotten)
            {
                connection.Context = contexts.Create(connection.Socket);
                connection.Context.Features.Set(connection);
                return true;
            }
            next = Answered(connection);
        }
        HandOver(next);
        return false;
    }

    /// <summary>Connection middleware: follows a connection to its end.</summary>
    internal async Task RunAsync(ConnectionContext context, ConnectionDelegate next)
    {
        var connection = context.Features.Get<ClientConnection>()!;
        try
        {
            if (_isTls)
            {
                context.Transport = new AnswerNotice(context.Transport, () => Answering(connection));
            }
            await next(context);
        }
        finally
        {
            ClientConnection? following;
            lock (_lock)
            {
                Forget(connection);
                following = Answered(connection);
                _isFull &= _open > _max / 2;
            }
            HandOver(following);
        }
    }

    /// <summary>HTTP middleware: knows which connections run a request.</summary>
    internal async Task RunAsync(HttpContext context, RequestDelegate next)
    {
        var connection = context.Features.Get<ClientConnection>()!;
        Move(connection, null);
        try
        {
            await next(context);
        }
        finally
        {
            Move(connection, _idle);
        }
    }

    /// <summary>Closes every connection that runs no request, and admits no other: an end does not wait for them.</summary>
    internal void End()
    {
        List<ClientConnection> unused;
        lock (_lock)
        {
            _isEnding = true;
            unused = [.. WithoutRequest(), .. _idle];
        }
        unused.ForEach(connection => Close(connection, null, "the server ends"));
    }

    public void Dispose() => _sweep.Dispose();

    /// <returns>Whether its first message is there, or it has ended.</returns>
    private bool Look(ClientConnection connection)
    {
        var state = Peek(connection.Socket);
        ClientConnection? next = null;
        lock (_lock)
        {
            // What was handed over by another door meanwhile may have been read before the look.
            if (connection.IsForgotten || connection.Stage != ConnectionStage.Arriving)
            {
                return true;
            }
            if (state == FirstMessage.State.Unfinished)
            {
                return false;
            }
            if (state == FirstMessage.State.Closed)
            {
                Forget(connection);
            }
            else
            {
                connection.Reach(ConnectionStage.Beginning);
                _arriving.TryRemove(connection.Key, out _);
                connection.MoveTo(state == FirstMessage.State.Complete ? _queued : _unfinished);
                next = _isTls ? NextHandshake() : connection;
            }
        }
        if (state == FirstMessage.State.Closed)
        {
            connection.Close("");
        }
        HandOver(next);
        return true;
    }

    /// <summary>Connections of which no complete request was read yet. The caller holds the lock.</summary>
    private IEnumerable<ClientConnection> WithoutRequest() => [.. _silent, .. _unfinished, .. _queued, .. _handshaking];

    /// <summary>The connection that is closed for another; null where there is none. The caller holds the lock.</summary>
    private ClientConnection? FindVictim()
    {
        var (silent, unfinished, queued) = (_silent.First?.Value, FirstAfterGrace(_unfinished), FirstAfterGrace(_queued));
        var awaited = silent is null || unfinished?.WaitsSince < silent.WaitsSince ? unfinished : silent;
        return awaited ?? queued ?? FirstAfterGrace(_handshaking) ?? _idle.First?.Value;

        static ClientConnection? FirstAfterGrace(LinkedList<ClientConnection> list) =>
            list.First?.Value is { } first && Stopwatch.GetElapsedTime(first.WaitsSince) >= Grace ? first : null;
    }

    private FirstMessage.State Peek(Socket socket)
    {
        try
        {
            return FirstMessage.Look(socket, _isTls);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return FirstMessage.State.Closed;
        }
    }

    /// <summary>The TLS connection whose handshake is next; null where none waits or enough run. The caller holds the lock, and hands it over.</summary>
    private ClientConnection? NextHandshake()
    {
        if (_beginning >= Math.Min(MaxBeginning, _max / 2) || _queued.Last?.Value is not { } newest)
        {
            return null;
        }
        _beginning++;
        newest.Reach(ConnectionStage.Handshaking);
        newest.MoveTo(_handshaking);
        return newest;
    }

    private static void HandOver(ClientConnection? connection) => connection?.Door.HandOver(connection);

    /// <summary>The server sends something: from now on the client is awaited.</summary>
    private void Answering(ClientConnection connection)
    {
        if (connection.Stage == ConnectionStage.Answered)
        {
            return;
        }
        ClientConnection? next;
        lock (_lock)
        {
            next = Answered(connection);
            if (!connection.IsForgotten)
            {
                connection.MoveTo(_unfinished);
            }
        }
        HandOver(next);
    }

    /// <summary>It no longer waits for the server. The caller holds the lock.</summary>
    /// <returns>The TLS connection that is next.</returns>
    private ClientConnection? Answered(ClientConnection connection)
    {
        if (connection.Stage == ConnectionStage.Answered || !_isTls)
        {
            return null;
        }
        connection.Reach(ConnectionStage.Answered);
        _beginning--;
        return NextHandshake();
    }

    private void Sweep()
    {
        List<ClientConnection> late;
        lock (_lock)
        {
            late = [.. WithoutRequest().Where(connection => _time.GetElapsedTime(connection.AcceptedAt) >= _headerTimeout)];
        }
        late.ForEach(connection => Close(connection, RefusalReason.HeaderTimeout, "no complete request arrived in time"));
        TrimAfterClosing();
    }

    /// <summary>Gives memory back once a second has passed without a connection that had to be closed.</summary>
    private void TrimAfterClosing()
    {
        var closed = Interlocked.Read(ref _closed);
        if (closed == _closedBefore && closed != _closedAtTrim)
        {
            _closedAtTrim = closed;
            // What finalizers free is given back as well.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
            NativeHeap.Trim();
        }
        _closedBefore = closed;
    }

    /// <param name="list">Null: it runs a request.</param>
    private void Move(ClientConnection connection, LinkedList<ClientConnection>? list)
    {
        lock (_lock)
        {
            if (!connection.IsForgotten)
            {
                connection.MoveTo(list);
            }
        }
    }

    /// <summary>Gives the connection's place to others. The caller holds the lock.</summary>
    private void Forget(ClientConnection connection)
    {
        if (!connection.IsForgotten)
        {
            connection.IsForgotten = true;
            connection.MoveTo(null);
            _arriving.TryRemove(connection.Key, out _);
            _open--;
        }
    }

    /// <summary>Closes a connection, unless it was closed already, or runs a request by now.</summary>
    /// <param name="refusal">Null: it is not refused.</param>
    private void Close(ClientConnection connection, string? refusal, string reason)
    {
        lock (_lock)
        {
            if (connection.IsForgotten || connection.List is null)
            {
                return;
            }
            Forget(connection);
        }
        if (refusal is not null)
        {
            _refusals.Count(refusal);
        }
        if (connection.Context is not null)
        {
            Interlocked.Increment(ref _closed);
        }
        connection.Close(reason);
    }

    [LoggerMessage(
        61,
        LogLevel.Warning,
        "All {Max} connections are in use: the oldest without a finished request are closed. If these are not an attack, raise Server:MaxConnections")]
    private partial void LogFull(int max);
}
