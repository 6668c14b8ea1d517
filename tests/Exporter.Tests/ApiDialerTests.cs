using System.Net;
using System.Net.Sockets;
using Exporter.Kubernetes.Access;

namespace Exporter.Tests;

public sealed class ApiDialerTests
{
    /// <summary>
    /// The kernel ends a connection whose other end does not answer its probes. Silence alone does not end it: in a quiet cluster
    /// a bookmark comes each minute.
    /// </summary>
    [Fact]
    public async Task A_connection_whose_other_end_vanished_ends_after_thirty_seconds()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var authority = $"{listener.LocalEndpoint}";
        var access = new ApiAccess { Origin = "a test", Server = new Uri($"http://{authority}"), Host = authority };
        var dialer = new ApiDialer(access, null, new(_ => null, "/nonexistent"));

        await using var stream = Assert.IsType<NetworkStream>(await dialer.ConnectAsync(TestContext.Current.CancellationToken));

        Assert.Equal(1, Get(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
        Assert.Equal(
            30,
            Get(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime)
            + (Get(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval) * Get(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount)));

        int Get(SocketOptionLevel level, SocketOptionName name) => (int)stream.Socket.GetSocketOption(level, name)!;
    }
}
