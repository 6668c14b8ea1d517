using System.Collections.Concurrent;
using System.Diagnostics;

namespace Exporter.Server;

/// <summary>
/// The open connections in lists by their kind of waiting, and the places of TLS handshakes. Callers hold the gate's lock, but not for
/// <see cref="FindArriving"/>.
/// </summary>
internal sealed class ConnectionPlaces(int max, bool isTls)
{
    /// <summary>
    /// How many TLS handshakes may wait for the server at once: more would only wait for each other. Of the connections that wait for such a
    /// place the newest is next, since its client is the least likely to have given up; in a flood the oldest lose their places instead.
    /// </summary>
    private const int MaxHandshaking = 16;

    /// <summary>Connections that are sockets only, by key.</summary>
    private readonly ConcurrentDictionary<ulong, ClientConnection> _arriving = new();

    /// <summary>Connections that are sockets only, oldest first.</summary>
    private readonly LinkedList<ClientConnection> _silent = [];

    /// <summary>Connections in Kestrel whose client has to send more before there is a request; the one that has had most time for it first.</summary>
    private readonly LinkedList<ClientConnection> _unfinished = [];

    /// <summary>Connections whose first message waits for the server: for a handshake, or for the request to be read. Oldest first.</summary>
    private readonly LinkedList<ClientConnection> _queued = [];

    /// <summary>TLS connections in Kestrel that wait for the server's part of the handshake, oldest first.</summary>
    private readonly LinkedList<ClientConnection> _handshaking = [];

    /// <summary>Connections between two requests, the one that has been idle for longest first.</summary>
    private readonly LinkedList<ClientConnection> _idle = [];

    private int _open;

    /// <summary>TLS connections that occupy Kestrel: with the server's part of the handshake, or with their end.</summary>
    private int _beginning;

    internal bool HasRoom => _open < max;

    internal bool IsMoreThanHalfFull => _open > max / 2;

    /// <summary>How many connections run a request.</summary>
    internal int Running => _open - _silent.Count - _unfinished.Count - _queued.Count - _handshaking.Count - _idle.Count;

    /// <summary>Connections of which no complete request was read yet.</summary>
    internal IEnumerable<ClientConnection> WithoutRequest => [.. _silent, .. _unfinished, .. _queued, .. _handshaking];

    internal IEnumerable<ClientConnection> Idle => _idle;

    /// <summary>The connection of this key if it is a socket only; else null. Called by any thread.</summary>
    internal ClientConnection? FindArriving(ulong key) => _arriving.GetValueOrDefault(key);

    /// <summary>Gives a new connection a place.</summary>
    internal void Add(ClientConnection connection)
    {
        _open++;
        connection.MoveTo(_silent);
        _arriving[connection.Key] = connection;
    }

    /// <summary>Gives a connection's place back.</summary>
    internal void Forget(ClientConnection connection)
    {
        if (!connection.IsForgotten)
        {
            connection.IsForgotten = true;
            connection.MoveTo(null);
            _arriving.TryRemove(connection.Key, out _);
            _open--;
        }
    }

    /// <summary>The first message of a connection has arrived.</summary>
    /// <param name="isComplete">Whether it can be answered; else the client has to send more.</param>
    /// <returns>The connection that is handed to Kestrel next; null: none.</returns>
    internal ClientConnection? Begin(ClientConnection connection, bool isComplete)
    {
        connection.Reach(ConnectionStage.Beginning);
        _arriving.TryRemove(connection.Key, out _);
        connection.MoveTo(isComplete ? _queued : _unfinished);
        return isTls ? NextHandshake() : connection;
    }

    /// <summary>A connection no longer waits for the server: it was answered, or has ended.</summary>
    /// <returns>The TLS connection that is handed to Kestrel next; null: none.</returns>
    internal ClientConnection? Answer(ClientConnection connection)
    {
        if (connection.Stage == ConnectionStage.Answered || !isTls)
        {
            return null;
        }
        connection.Reach(ConnectionStage.Answered);
        _beginning--;
        return NextHandshake();
    }

    /// <summary>The server waits for the client of a connection.</summary>
    internal void AwaitClient(ClientConnection connection) => Move(connection, _unfinished);

    /// <summary>A connection runs a request.</summary>
    internal static void Run(ClientConnection connection) => Move(connection, null);

    /// <summary>The request of a connection has ended.</summary>
    internal void Rest(ClientConnection connection) => Move(connection, _idle);

    /// <summary>Chooses the connection that is closed for another; null: every connection runs a request or has just begun to wait.</summary>
    internal ClientConnection? FindVictim()
    {
        var (silent, unfinished, queued) = (_silent.First?.Value, FirstAfterGrace(_unfinished), FirstAfterGrace(_queued));
        var awaited = silent is null || unfinished?.WaitsSince < silent.WaitsSince ? unfinished : silent;
        return awaited ?? queued ?? FirstAfterGrace(_handshaking) ?? _idle.First?.Value;

        static ClientConnection? FirstAfterGrace(LinkedList<ClientConnection> list) =>
            list.First?.Value is { } first && Stopwatch.GetElapsedTime(first.WaitsSince) >= ConnectionGate.Grace ? first : null;
    }

    private static void Move(ClientConnection connection, LinkedList<ClientConnection>? list)
    {
        if (!connection.IsForgotten)
        {
            connection.MoveTo(list);
        }
    }

    /// <summary>Takes the TLS connection whose handshake is next; null if no connection waits for that, or enough handshakes run.</summary>
    private ClientConnection? NextHandshake()
    {
        if (_beginning >= Math.Min(MaxHandshaking, max / 2) || _queued.Last?.Value is not { } newest)
        {
            return null;
        }
        _beginning++;
        newest.Reach(ConnectionStage.Handshaking);
        newest.MoveTo(_handshaking);
        return newest;
    }
}
