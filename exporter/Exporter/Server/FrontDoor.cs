using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Exporter.Bpf;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Exporter.Server;

/// <summary>
/// A port: one thread accepts connections and hands them to Kestrel once their first message has arrived. Until then a connection is a socket and
/// costs a few system calls, so that thousands of silent connections keep no other waiting.
/// </summary>
internal sealed class FrontDoor : IConnectionListener
{
    private const ulong ListenerKey = 0;

    /// <summary>How many connections are accepted before arrivals on others are handled again.</summary>
    private const int AtOnce = 64;

    /// <summary>How long a new connection waits for a place, and the interval of tries. If no place is free by then, every connection runs a request.</summary>
    private static readonly TimeSpan Patience = 2 * ConnectionGate.Grace;
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(1);

    /// <summary>The pause before the next attempt if the kernel has no descriptor or memory for another socket.</summary>
    private static readonly TimeSpan ExhaustedPause = TimeSpan.FromMilliseconds(10);

    private readonly Socket _listener;
    private readonly ConnectionGate _gate;
    private readonly SocketConnectionContextFactory _contexts;
    private readonly EventPoll _poll = new();
    private readonly Channel<ClientConnection> _ready = Channel.CreateUnbounded<ClientConnection>();
    private readonly Thread _thread;

    /// <summary>The accepted connection that waits for a place; null: none.</summary>
    private (Socket Socket, long Since)? _held;

    /// <summary>Whether the last connection got no place. Then the next ones do not wait for one: each would keep all others waiting.</summary>
    private bool _isRefusing;
    private volatile bool _isClosed;

    /// <param name="listener">A socket that listens.</param>
    internal FrontDoor(Socket listener, ConnectionGate gate, SocketConnectionContextFactory contexts)
    {
        (_listener, _gate, _contexts) = (listener, gate, contexts);
        EndPoint = listener.LocalEndPoint!;
        _poll.Add(listener.SafeHandle, ListenerKey);
        _thread = new(Run) { IsBackground = true, Name = "front door" };
        _thread.Start();
    }

    public EndPoint EndPoint { get; }

    /// <summary>The next connection whose first message has arrived; null once the port is closed.</summary>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _ready.Reader.WaitToReadAsync(cancellationToken))
        {
            while (_ready.Reader.TryRead(out var connection))
            {
                if (_gate.TryTake(connection, _contexts))
                {
                    return connection.Context;
                }
            }
        }
        return null;
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        if (!_isClosed)
        {
            _isClosed = true;
            _poll.Wake();
            _thread.Join();
            _listener.Dispose();
            _held?.Socket.Dispose();
            _ready.Writer.Complete();
        }
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await UnbindAsync();
        _poll.Dispose();
    }

    /// <summary>Watches a connection for arriving data.</summary>
    /// <exception cref="IOException">The kernel has no room for another watch.</exception>
    internal void Watch(ClientConnection connection) => _poll.AddArrivals(connection.Socket.SafeHandle, connection.Key);

    /// <summary>Hands a connection to Kestrel.</summary>
    internal void HandOver(ClientConnection connection)
    {
        try
        {
            _poll.Remove(connection.Socket.SafeHandle);
        }
        catch (ObjectDisposedException)
        {
            // It was closed meanwhile. It is handed over all the same, so that the gate chooses the next one.
        }
        _ready.Writer.TryWrite(connection);
    }

    private void Run()
    {
        Span<ulong> keys = stackalloc ulong[AtOnce];
        while (!_isClosed)
        {
            if (_held is not null)
            {
                // A sleep instead of a wait in the poll, which the connections behind it would end at once.
                Thread.Sleep(RetryInterval);
            }
            var count = _poll.Wait(keys, _held is null ? null : TimeSpan.Zero);
            var hasNew = _held is not null;
            foreach (var key in keys[..count])
            {
                if (key == ListenerKey)
                {
                    hasNew = true;
                }
                else if (key != EventPoll.Woken)
                {
                    _gate.OnArrival(key);
                }
            }
            for (var i = 0; hasNew && i < AtOnce && !_isClosed; i++)
            {
                hasNew = AdmitNext();
            }
        }
    }

    /// <returns>Whether another connection may be waiting.</returns>
    private bool AdmitNext()
    {
        if (_held is null)
        {
            try
            {
                if (!_listener.Poll(0, SelectMode.SelectRead))
                {
                    return false;
                }
                var accepted = _listener.Accept();
                (accepted.NoDelay, accepted.Blocking) = (true, false);
                _held = (accepted, Environment.TickCount64);
            }
            catch (SocketException)
            {
                // The client has gone, or descriptors are exhausted. In that case the kernel keeps the connection for the next attempt.
                Thread.Sleep(ExhaustedPause);
                return false;
            }
        }
        var (socket, since) = _held.Value;
        try
        {
            if (_gate.TryAdmit(socket, this))
            {
                (_held, _isRefusing) = (null, false);
            }
            else if (_isRefusing || Environment.TickCount64 - since >= Patience.TotalMilliseconds)
            {
                (_held, _isRefusing) = (null, true);
                _gate.Refuse(socket);
            }
            return _held is null;
        }
        catch (IOException)
        {
            // Memory or epoll watches are exhausted. Without a watch its data would never be noticed.
            _held = null;
            socket.Dispose();
            Thread.Sleep(ExhaustedPause);
            return false;
        }
    }
}
