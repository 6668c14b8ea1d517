using System.Net;
using System.Net.Sockets;
using Exporter.Bpf;

namespace Exporter.Signals.Handshakes;

/// <summary>
/// Tries the programs of a hook. The kernel also attaches to a function that was inlined into its callers, or has other arguments than expected;
/// such a hook is of no use. So one connection and one that is refused are made on the loopback interface, where neither counts, and the
/// programs have to see them.
/// </summary>
internal static class LoopbackTrial
{
    /// <summary>Enough for a connection within an overloaded machine.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>The kernel can skip a program (recursion), so one attempt proves nothing.</summary>
    private const int Attempts = 3;

    /// <param name="seen">What the programs have seen, indexed by <see cref="LoopbackStep"/>.</param>
    /// <returns>The steps that were not seen; empty is good.</returns>
    /// <exception cref="SocketException">No connection can be made on the loopback interface, which says nothing about the programs.</exception>
    internal static string FindUnseen(PerCpuArray<ulong> seen) => FindUnseenAsync(seen, CancellationToken.None).GetAwaiter().GetResult();

    /// <inheritdoc cref="FindUnseen"/>
    internal static async Task<string> FindUnseenAsync(PerCpuArray<ulong> seen, CancellationToken cancellationToken)
    {
        var steps = Enum.GetValues<LoopbackStep>();
        List<LoopbackStep> unseen = [.. steps];
        for (var attempt = 0; attempt < Attempts && unseen.Count > 0; attempt++)
        {
            var before = steps.Select(step => seen.Read((int)step)).ToArray();
            await ConnectAndFailAsync(cancellationToken).ConfigureAwait(false);
            unseen.RemoveAll(step => seen.Read((int)step) > before[(int)step]);
        }
        return unseen.Count == 0 ? "" : $"attached, but it does not see connections that are {string.Join(" or ", unseen).ToLowerInvariant()}";
    }

    private static async Task ConnectAndFailAsync(CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Patience);
        try
        {
            int port;
            using (var listener = NewSocket())
            {
                listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                listener.Listen();
                port = ((IPEndPoint)listener.LocalEndPoint!).Port;
                using var client = NewSocket();
                await client.ConnectAsync(IPAddress.Loopback, port, deadline.Token).ConfigureAwait(false);
                using var accepted = await listener.AcceptAsync(deadline.Token).ConfigureAwait(false);
            }
            try
            {
                using var refused = NewSocket();
                await refused.ConnectAsync(IPAddress.Loopback, port, deadline.Token).ConfigureAwait(false);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
            {
                // As wanted: the listener is closed.
            }
        }
        catch (SocketException e)
        {
            throw Explain(e);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Explain(new SocketException((int)SocketError.TimedOut));
        }
    }

    private static SocketException Explain(SocketException e)
    {
        const string Up = "bring lo up with 'ip link set lo up'";
        // With lo down, a default route can take the packets elsewhere, where they are lost as in a firewall.
        var isDown = e.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.NetworkUnreachable or SocketError.NetworkDown;
        var remedy = isDown ? Up : $"{Up} if it is down, and let TCP connections to 127.0.0.1 through the firewall";
        return new((int)e.SocketErrorCode, $"no connection can be made to 127.0.0.1 ({new SocketException((int)e.SocketErrorCode).Message}): {remedy}");
    }

    private static Socket NewSocket() => new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
}
