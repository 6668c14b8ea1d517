using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Exporter.Server;

/// <summary>
/// Bounds the server's connections. When Server:MaxConnections are open, a new connection takes the place of the one whose client has kept the
/// server waiting for longest without a complete request, or else of the one that has been idle for longest: a client that opens connections and
/// sends nothing keeps no probe out. Connections without a complete request are closed after Server:HeaderTimeout, TLS handshakes included.
/// </summary>
internal sealed partial class ConnectionGate : IDisposable
{
    /// <summary>
    /// The time for which a connection is not closed for another after its first message began to wait for the server, or the server began to wait
    /// for the client. If CPUs are scarce, the client may not be at fault.
    /// </summary>
    internal static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(1);

    private readonly int _max;
    private readonly bool _isTls;
    private readonly TimeSpan _headerTimeout;
    private readonly ServerRefusals _refusals;
    private readonly TimeProvider _time;
    private readonly ILogger<ConnectionGate> _logger;
    private readonly ITimer _sweep;

    /// <summary>Guards the places. Held for a few list operations, and while a connection is added to its door's poll; never while one is closed.</summary>
    private readonly Lock _lock = new();

    private readonly ConnectionPlaces _places;
    private readonly MemoryTrimmer _memory = new();
    private ulong _lastKey;
    private bool _isEnding;
    private bool _isFull;

    public ConnectionGate(ServerOptions options, ServerRefusals refusals, TimeProvider time, ILogger<ConnectionGate> logger)
    {
        (_max, _isTls, _headerTimeout, _refusals, _time, _logger) = (options.MaxConnections, options.HasTls, options.HeaderTimeout, refusals, time, logger);
        _places = new(options.MaxConnections, options.HasTls);
        _sweep = time.CreateTimer(_ => Sweep(), null, SweepInterval, SweepInterval);
    }

    /// <summary>How many connections run a request.</summary>
    internal int Running
    {
        get
        {
            lock (_lock)
            {
                return _places.Running;
            }
        }
    }

    /// <summary>Gives an accepted connection a place, for which it may close another.</summary>
    /// <returns>Whether it got one: not while every connection runs a request or has just begun to wait, and not once the server ends.</returns>
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
                if (!_places.HasRoom)
                {
                    victim = _places.FindVictim();
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
                    _places.Add(admitted);
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
            // Its first message may have arrived meanwhile.
            if (victim!.Stage != ConnectionStage.Arriving || !CheckFirstMessage(victim))
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

    /// <summary>Checks the first message of the connection with this key: data has arrived on it.</summary>
    internal void OnArrival(ulong key)
    {
        if (_places.FindArriving(key) is { } connection)
        {
            CheckFirstMessage(connection);
        }
    }

    /// <summary>Creates Kestrel's connection for one that was handed to it.</summary>
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
            next = _places.Answer(connection);
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
                _places.Forget(connection);
                following = _places.Answer(connection);
                _isFull &= _places.IsMoreThanHalfFull;
            }
            HandOver(following);
        }
    }

    /// <summary>HTTP middleware: notes which connections run a request.</summary>
    internal async Task RunAsync(HttpContext context, RequestDelegate next)
    {
        var connection = context.Features.Get<ClientConnection>()!;
        lock (_lock)
        {
            ConnectionPlaces.Run(connection);
        }
        try
        {
            await next(context);
        }
        finally
        {
            lock (_lock)
            {
                _places.Rest(connection);
            }
        }
    }

    /// <summary>Closes every connection that runs no request, and admits no other: the server's end does not wait for them.</summary>
    internal void End()
    {
        List<ClientConnection> unused;
        lock (_lock)
        {
            _isEnding = true;
            unused = [.. _places.WithoutRequest, .. _places.Idle];
        }
        unused.ForEach(connection => Close(connection, null, "the server ends"));
    }

    public void Dispose() => _sweep.Dispose();

    /// <returns>Whether its first message has arrived, or it has ended.</returns>
    private bool CheckFirstMessage(ClientConnection connection)
    {
        var state = Peek(connection.Socket);
        var isOver = state is FirstMessage.State.Closed or FirstMessage.State.Foreign;
        ClientConnection? next = null;
        lock (_lock)
        {
            // If another door's thread handed it over meanwhile, its message may have been read before this check.
            if (connection.IsForgotten || connection.Stage != ConnectionStage.Arriving)
            {
                return true;
            }
            if (state == FirstMessage.State.Unfinished)
            {
                return false;
            }
            if (isOver)
            {
                _places.Forget(connection);
            }
            else
            {
                next = _places.Begin(connection, isComplete: state == FirstMessage.State.Complete);
            }
        }
        if (state == FirstMessage.State.Foreign)
        {
            _refusals.Count(RefusalReason.BadRequest);
        }
        if (isOver)
        {
            connection.Close("");
        }
        HandOver(next);
        return true;
    }

    private FirstMessage.State Peek(Socket socket)
    {
        try
        {
            return FirstMessage.Peek(socket, _isTls);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return FirstMessage.State.Closed;
        }
    }

    private static void HandOver(ClientConnection? connection) => connection?.Door.HandOver(connection);

    /// <summary>Notes that the server sends its first answer: from now on the server waits for the client.</summary>
    private void Answering(ClientConnection connection)
    {
        if (connection.Stage == ConnectionStage.Answered)
        {
            return;
        }
        ClientConnection? next;
        lock (_lock)
        {
            next = _places.Answer(connection);
            _places.AwaitClient(connection);
        }
        HandOver(next);
    }

    private void Sweep()
    {
        List<ClientConnection> late;
        lock (_lock)
        {
            late = [.. _places.WithoutRequest.Where(connection => _time.GetElapsedTime(connection.AcceptedAt) >= _headerTimeout)];
        }
        late.ForEach(connection => Close(connection, RefusalReason.HeaderTimeout, "no complete request arrived in time"));
        _memory.TrimIfQuiet();
    }

    /// <summary>Closes a connection, unless it was closed already, or runs a request by now.</summary>
    /// <param name="refusal">The reason that is counted; null: it is not a refusal.</param>
    private void Close(ClientConnection connection, string? refusal, string reason)
    {
        lock (_lock)
        {
            if (connection.IsForgotten || connection.List is null)
            {
                return;
            }
            _places.Forget(connection);
        }
        if (refusal is not null)
        {
            _refusals.Count(refusal);
        }
        if (connection.Context is not null)
        {
            _memory.CountClose();
        }
        connection.Close(reason);
    }

    [LoggerMessage(
        61,
        LogLevel.Warning,
        "All {Max} connections are in use: the oldest without a finished request are closed. If these are not an attack, raise Server:MaxConnections")]
    private partial void LogFull(int max);
}
