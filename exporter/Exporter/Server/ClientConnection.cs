using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Exporter.Server;

/// <summary>A client's connection, from accepting on. Its state belongs to the gate's lock.</summary>
/// <param name="acceptedAt">By the gate's clock.</param>
internal sealed class ClientConnection(Socket socket, FrontDoor door, ulong key, long acceptedAt)
{
    private LinkedListNode<ClientConnection>? _node;

    internal Socket Socket => socket;

    internal FrontDoor Door => door;

    /// <summary>What it is called in the door's poll.</summary>
    internal ulong Key => key;

    internal long AcceptedAt => acceptedAt;

    /// <summary>Null: the server has not taken it yet.</summary>
    internal ConnectionContext? Context { get; set; }

    internal ConnectionStage Stage { get; private set; }

    /// <summary>Whether its place was given to another, or is no longer needed.</summary>
    internal bool IsForgotten { get; set; }

    internal LinkedList<ClientConnection>? List => _node?.List;

    /// <summary>When it reached its stage. By the real clock: what is asked is how fast this machine and its clients are just now.</summary>
    internal long WaitsSince { get; private set; } = Stopwatch.GetTimestamp();

    internal void Reach(ConnectionStage stage) => (Stage, WaitsSince) = (stage, Stopwatch.GetTimestamp());

    internal void MoveTo(LinkedList<ClientConnection>? list)
    {
        _node?.List?.Remove(_node);
        list?.AddLast(_node ??= new(this));
    }

    /// <summary>Ends it at once.</summary>
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

/// <summary>How far a connection is.</summary>
internal enum ConnectionStage
{
    /// <summary>Its first message has not arrived as a whole; all that there is of it is a socket.</summary>
    Arriving,

    /// <summary>Its first message is there and was not answered yet.</summary>
    Beginning,

    /// <summary>Its TLS handshake was handed to Kestrel and was not answered yet.</summary>
    Handshaking,

    /// <summary>Something was answered, such as a TLS handshake, or a request was read.</summary>
    Answered,
}
