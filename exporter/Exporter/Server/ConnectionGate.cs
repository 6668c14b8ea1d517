using System.Diagnostics;
using Exporter.Bpf;
using Exporter.Options;
using Microsoft.AspNetCore.Connections;

namespace Exporter.Server;

/// <summary>
/// Bounds the server's connections. When Server:MaxConnections are open, a new connection takes the place of the oldest one that has not
/// finished a request, or else of the one that has been idle for longest: whoever opens connections and says nothing keeps no probe out.
/// Connections without a complete request are closed after Server:HeaderTimeout, TLS handshakes included.
/// </summary>
internal sealed partial class ConnectionGate : IDisposable
{
    /// <summary>
    /// How many closed connections may still be unwinding before accepting waits for them: in a flood accepting is faster than unwinding, and
    /// what cannot be accepted yet is better kept by the kernel.
    /// </summary>
    private const int MaxUnwinding = 64;

    /// <summary>
    /// How long a connection is left in peace, and a new one in the kernel's queue, while all are in use: a client that sends its request at once
    /// must not be closed before the request could be read. At 256 connections this lets 5,000 a second through, the whole queue in a second.
    /// </summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(1);

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(1);

    private readonly int _max;
    private readonly TimeSpan _headerTimeout;
    private readonly ServerRefusals _refusals;
    private readonly TimeProvider _time;
    private readonly ILogger<ConnectionGate> _logger;
    private readonly ITimer _sweep;
    private readonly SemaphoreSlim _unwinding = new(MaxUnwinding);

    /// <summary>Held for a few list operations; never while a connection is closed.</summary>
    private readonly Lock _lock = new();

    /// <summary>Connections that have not finished a request and run none, oldest first.</summary>
    private readonly LinkedList<GatedConnection> _waiting = [];

    /// <summary>Connections between two requests, the one that has been idle for longest first.</summary>
    private readonly LinkedList<GatedConnection> _idle = [];
    private int _open;
    private long _closed;

    /// <summary>Values of <see cref="_closed"/> at the last sweep, and at the last sweep that gave memory back. For the sweep alone.</summary>
    private long _closedBefore;
    private long _closedAtTrim;
    private bool _isEnding;
    private bool _isFull;

    public ConnectionGate(ServerOptions options, ServerRefusals refusals, TimeProvider time, ILogger<ConnectionGate> logger)
    {
        (_max, _headerTimeout, _refusals, _time, _logger) = (options.MaxConnections, options.HeaderTimeout, refusals, time, logger);
        _sweep = time.CreateTimer(_ => Sweep(), null, SweepInterval, SweepInterval);
    }

    /// <summary>How many connections run a request.</summary>
    internal int Running
    {
        get
        {
            lock (_lock)
            {
                return _open - _waiting.Count - _idle.Count;
            }
        }
    }

    /// <summary>Makes room for an accepted connection. Returns false, having closed it, if every other connection runs a request.</summary>
    internal async ValueTask<bool> AdmitAsync(ConnectionContext accepted, CancellationToken cancelled)
    {
        var connection = new GatedConnection(accepted, _time.GetTimestamp());
        Admission admission;
        GatedConnection? victim;
        while ((admission = TryAdmit(connection, out victim)) == Admission.Later)
        {
            await Task.Delay(RetryInterval, cancelled);
        }
        if (victim is not null)
        {
            _refusals.Count(RefusalReason.Connections);
            await CloseAsync(victim, "another connection needs its place", cancelled);
        }
        if (admission == Admission.Refused)
        {
            _refusals.Count(RefusalReason.Connections);
            accepted.Abort(new ConnectionAbortedException("every other connection runs a request"));
            await accepted.DisposeAsync();
        }
        return admission == Admission.Admitted;
    }

    /// <param name="victim">The connection whose place it took, and which is to be closed.</param>
    private Admission TryAdmit(GatedConnection connection, out GatedConnection? victim)
    {
        victim = null;
        bool hasFilled, isAdmitted;
        lock (_lock)
        {
            if (_open >= _max && !_isEnding)
            {
                victim = (_waiting.First ?? _idle.First)?.Value;
                if ((victim ?? connection).IsFresh)
                {
                    victim = null;
                    return Admission.Later;
                }
            }
            hasFilled = _open >= _max && !_isFull && !_isEnding;
            _isFull |= hasFilled;
            if (victim is not null)
            {
                Forget(victim);
            }
            isAdmitted = _open < _max && !_isEnding;
            if (isAdmitted)
            {
                _open++;
                connection.MoveTo(_waiting);
                connection.Context.Features.Set(connection);
            }
        }
        if (hasFilled)
        {
            LogFull(_max);
        }
        return isAdmitted ? Admission.Admitted : Admission.Refused;
    }

    /// <summary>Connection middleware: follows an admitted connection to its end.</summary>
    internal async Task RunAsync(ConnectionContext context, ConnectionDelegate next)
    {
        var connection = context.Features.Get<GatedConnection>()!;
        try
        {
            await next(context);
        }
        finally
        {
            bool wasClosed;
            lock (_lock)
            {
                wasClosed = connection.IsForgotten;
                Forget(connection);
                _isFull &= _open > _max / 2;
            }
            if (wasClosed)
            {
                _unwinding.Release();
            }
        }
    }

    /// <summary>HTTP middleware: knows which connections run a request.</summary>
    internal async Task RunAsync(HttpContext context, RequestDelegate next)
    {
        var connection = context.Features.Get<GatedConnection>()!;
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
    internal async Task EndAsync()
    {
        List<GatedConnection> unused;
        lock (_lock)
        {
            _isEnding = true;
            unused = [.. _waiting, .. _idle];
            unused.ForEach(Forget);
        }
        foreach (var connection in unused)
        {
            await CloseAsync(connection, "the server ends", CancellationToken.None);
        }
    }

    public void Dispose() => _sweep.Dispose();

    private void Sweep()
    {
        List<GatedConnection> late = [];
        lock (_lock)
        {
            while (_waiting.First?.Value is { } oldest && _time.GetElapsedTime(oldest.AcceptedAt) >= _headerTimeout)
            {
                Forget(oldest);
                late.Add(oldest);
            }
        }
        foreach (var connection in late)
        {
            _refusals.Count(RefusalReason.HeaderTimeout);
            _ = CloseAsync(connection, "no complete request arrived in time", CancellationToken.None).AsTask();
        }
        TrimAfterClosing();
    }

    /// <summary>Gives memory back once a second has passed without a connection that had to be closed.</summary>
    private void TrimAfterClosing()
    {
        var closed = Interlocked.Read(ref _closed);
        if (closed == _closedBefore && closed != _closedAtTrim)
        {
            _closedAtTrim = closed;
            NativeHeap.Trim();
        }
        _closedBefore = closed;
    }

    /// <param name="list">Null: it runs a request.</param>
    private void Move(GatedConnection connection, LinkedList<GatedConnection>? list)
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
    private void Forget(GatedConnection connection)
    {
        if (!connection.IsForgotten)
        {
            connection.IsForgotten = true;
            connection.MoveTo(null);
            _open--;
        }
    }

    /// <summary>Closes a connection that was forgotten, as soon as not too many others are unwinding.</summary>
    private async ValueTask CloseAsync(GatedConnection connection, string reason, CancellationToken cancelled)
    {
        Interlocked.Increment(ref _closed);
        try
        {
            await _unwinding.WaitAsync(cancelled);
        }
        finally
        {
            connection.Context.Abort(new ConnectionAbortedException(reason));
        }
    }

    [LoggerMessage(
        61,
        LogLevel.Warning,
        "All {Max} connections are in use: the oldest without a finished request are closed. If these are not an attack, raise Server:MaxConnections")]
    private partial void LogFull(int max);

    private enum Admission
    {
        Admitted,
        Refused,

        /// <summary>A place may be free soon without closing what has only just come.</summary>
        Later,
    }

    /// <summary>An admitted connection. Its state belongs to the gate's lock.</summary>
    private sealed class GatedConnection
    {
        private readonly LinkedListNode<GatedConnection> _node;

        /// <summary>By the real clock: it is about how fast this machine reads, and not about how long a client may take.</summary>
        private readonly long _madeAt = Stopwatch.GetTimestamp();

        internal GatedConnection(ConnectionContext context, long acceptedAt)
        {
            (Context, AcceptedAt) = (context, acceptedAt);
            _node = new(this);
        }

        internal ConnectionContext Context { get; }

        internal long AcceptedAt { get; }

        /// <summary>Whether the server may not have come to read its request yet.</summary>
        internal bool IsFresh => Stopwatch.GetElapsedTime(_madeAt) < Grace;

        /// <summary>Whether its place is another's.</summary>
        internal bool IsForgotten { get; set; }

        internal void MoveTo(LinkedList<GatedConnection>? list)
        {
            _node.List?.Remove(_node);
            list?.AddLast(_node);
        }
    }
}
