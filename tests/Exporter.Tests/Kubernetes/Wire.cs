using System.Buffers;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Exporter.Tests.Kubernetes;

/// <summary>
/// Answers with chunks of their own making, since Kestrel's could neither be cut in the middle nor left without an ending. What is
/// written has gone to the socket when the task completes.
/// </summary>
internal static class Wire
{
    internal static async Task StartChunkedAsync(this HttpContext context)
    {
        context.Response.Headers.TransferEncoding = "chunked";
        await context.Response.StartAsync();
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    internal static Task WriteChunkAsync(this HttpContext context, ReadOnlyMemory<byte> data) => context.WriteChunkAsync(data, data.Length);

    /// <param name="declared">The length that the chunk claims; with a longer one it stays incomplete.</param>
    internal static async Task WriteChunkAsync(this HttpContext context, ReadOnlyMemory<byte> data, int declared)
    {
        context.RequestAborted.ThrowIfCancellationRequested();
        var body = context.Response.BodyWriter;
        body.Write(Encoding.ASCII.GetBytes($"{declared:x}\r\n"));
        body.Write(data.Span);
        if (declared == data.Length)
        {
            body.Write("\r\n"u8);
        }
        await body.FlushAsync(context.RequestAborted);
    }

    internal static async Task EndChunkedAsync(this HttpContext context) => await context.Response.BodyWriter.WriteAsync("0\r\n\r\n"u8.ToArray(), context.RequestAborted);

    /// <summary>Sends nothing more and waits for the client to leave.</summary>
    internal static Task StaySilentAsync(this HttpContext context) => Task.Delay(Timeout.Infinite, context.RequestAborted);

    /// <summary>Breaks the connection off, without a word to the TLS layer.</summary>
    /// <param name="reset">With an RST instead of a FIN.</param>
    internal static Task BreakAsync(this HttpContext context, bool reset)
    {
        context.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket.Break(reset);
        return context.StaySilentAsync();
    }

    internal static void Break(this Socket socket, bool reset)
    {
        try
        {
            if (reset)
            {
                socket.Close(timeout: 0);
            }
            else
            {
                socket.Shutdown(SocketShutdown.Both);
            }
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
        }
    }
}
