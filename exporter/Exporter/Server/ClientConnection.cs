using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Exporter.Server;

/// <summary>A client's connection from its acceptance on. The gate's lock guards its state.</summary>
/// <param name="acceptedAt">A timestamp of the gate's clock.</param>
internal sealed class ClientConnection(Socket socket, FrontDoor door, ulong key, long acceptedAt)
{
    private LinkedListNode<ClientConnection>? _node;

    internal Socket Socket => socket;

    internal FrontDoor Door => door;

    /// <summary>Its key in the door's poll.</summary>
    internal ulong Key => key;

    internal long AcceptedAt => acceptedAt;

    /// <summary>Kestrel's connection; null: Kestrel has not taken it yet.</summary>
    internal ConnectionContext? Context { get; set; }

    internal ConnectionStage Stage { get; private set; }

    /// <summary>Whether its place was given back.</summary>
    internal bool IsForgotten { get; set; }

    internal LinkedList<ClientConnection>? List => _node?.List;

    /// <summary>When it reached its stage, by the real clock: the time shows how fast this machine and the client are.</summary>
    internal long WaitsSince { get; private set; } = Stopwatch.GetTimestamp();

    internal void Reach(ConnectionStage stage) => (Stage, WaitsSince) = (stage, Stopwatch.GetTimestamp());

    internal void MoveTo(LinkedList<ClientConnection>? list)
    {
        _node?.List?.Remove(_node);
        list?.AddLast(_node ??= new(this));
    }

    /// <summary>Closes the connection at once.</summary>
    internal void Close(string reason)
    {
        if (Context is { } context)
        {
            context.Abort(new ConnectionAbortedException(reason));
        }
        else
        {
            socket.Dispose();
        }
    }
}

/// <summary>The progress of a connection.</summary>
internal enum ConnectionStage
{
    /// <summary>Its first message has not arrived completely; it is only a socket.</summary>
    Arriving,

    /// <summary>Its first message has arrived and was not answered yet.</summary>
    Beginning,

    /// <summary>Its TLS handshake was handed to Kestrel and was not answered yet.</summary>
    Handshaking,

    /// <summary>The server has answered, at least a part of a TLS handshake.</summary>
    Answered,
}
