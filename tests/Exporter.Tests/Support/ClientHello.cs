using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Exporter.Tests.Support;

internal static class ClientHello
{
    /// <summary>The first bytes of a TLS client; nothing follows them.</summary>
    internal static async Task<byte[]> RecordAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using var accepted = await listener.AcceptSocketAsync();
        await using var tls = new SslStream(client.GetStream());
        var handshake = tls.AuthenticateAsClientAsync("localhost");
        var hello = new byte[4096];
        var length = await accepted.ReceiveAsync(hello);
        accepted.Close();
        await handshake.ContinueWith(_ => { }, TaskScheduler.Default);
        return hello[..length];
    }
}
