using System.Globalization;
using System.IO.Compression;
using Microsoft.Extensions.Primitives;

namespace Exporter.Server;

/// <summary>Compresses answers for clients that ask for gzip: Accept-Encoding of RFC 9110, section 12.5.3.</summary>
internal static class ContentCoding
{
    /// <summary>Writes the body, compressed if the client prefers that.</summary>
    /// <param name="writeZipped">Writes the body as one gzip stream; null: the output of <paramref name="write"/> is compressed.</param>
    internal static async Task WriteAsync(HttpContext context, Func<Task> write, Func<Task>? writeZipped = null)
    {
        var response = context.Response;
        response.Headers.Vary = response.Headers.Vary.Count == 0 ? "Accept-Encoding" : $"{response.Headers.Vary}, Accept-Encoding";
        switch (Choose(context.Request.Headers.AcceptEncoding))
        {
            case null:
                response.StatusCode = StatusCodes.Status406NotAcceptable;
                response.ContentType = "text/plain; charset=utf-8";
                await response.WriteAsync("Accept-Encoding excludes both gzip and identity, and the server has no other coding\n");
                break;
            case true:
                response.Headers.ContentEncoding = "gzip";
                if (writeZipped is not null)
                {
                    await writeZipped();
                    break;
                }
                var plain = response.Body;
                // Disposed before the body is restored: that writes the end of the gzip member.
                await using (var gzip = new GZipStream(plain, CompressionLevel.Fastest, leaveOpen: true))
                {
                    response.Body = gzip;
                    await write();
                }
                response.Body = plain;
                break;
            case false:
                await write();
                break;
        }
    }

    /// <summary>
    /// Whether the client prefers gzip to no coding; null if it accepts neither. Of equal qualities gzip wins; without the header, or with an
    /// empty one, nothing is coded.
    /// </summary>
    internal static bool? Choose(StringValues acceptEncoding)
    {
        double? gzip = null, identity = null, any = null;
        foreach (var part in string.Join(',', (IEnumerable<string?>)acceptEncoding).Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = part.Split(';', StringSplitOptions.TrimEntries);
            var quality = ReadQuality(fields.AsSpan(1));
            switch (fields[0].ToLowerInvariant())
            {
                case "gzip" or "x-gzip":
                    gzip = Math.Max(gzip ?? 0, quality);
                    break;
                case "identity":
                    identity = quality;
                    break;
                case "*":
                    any = quality;
                    break;
            }
        }
        var zipped = gzip ?? any ?? 0;
        // Identity is acceptable by default, as the last choice.
        var (isAcceptable, plain) = (identity ?? any) is { } said ? (said > 0, said) : (true, 0);
        return zipped > 0 && zipped >= plain ? true : isAcceptable ? false : null;
    }

    /// <summary>The weight from 0 to 1; 0, which is a refusal, if it cannot be read.</summary>
    private static double ReadQuality(ReadOnlySpan<string> parameters)
    {
        foreach (var parameter in parameters)
        {
            if (parameter.StartsWith("q=", StringComparison.OrdinalIgnoreCase))
            {
                return double.TryParse(parameter.AsSpan(2), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var quality) && quality is >= 0 and <= 1
                    ? quality
                    : 0;
            }
        }
        return 1;
    }
}
