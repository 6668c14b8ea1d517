using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Exporter.Options;

namespace Exporter.Security;

/// <summary>Lets those ask for anything but health who show a token, or a name and a password.</summary>
/// <param name="tokens">Null: none is taken. As it is sent, in UTF-8.</param>
/// <param name="passwords">Null: none is taken. As each is sent, name and all, in UTF-8.</param>
internal sealed class AccessControl(SecretFile<byte[][]>? tokens, SecretFile<byte[][]>? passwords)
{
    private const string Bearer = "Bearer";
    private const string Basic = "Basic";

    /// <exception cref="FormatException">A file cannot be read or used.</exception>
    internal static AccessControl Open(SecretFiles files, ServerOptions options) => new(
        options.BearerTokenFile.Length > 0 ? files.Open("bearer_token", "Server:BearerTokenFile", [options.BearerTokenFile], texts => ParseToken(texts[0])) : null,
        options.BasicAuthFile.Length > 0 ? files.Open("basic_auth", "Server:BasicAuthFile", [options.BasicAuthFile], texts => ParsePasswords(texts[0])) : null);

    /// <summary>Passes on what may pass; the rest gets 401. Probes have neither tokens nor passwords.</summary>
    internal Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        if ((tokens is null && passwords is null) || context.Request.Path.Value is "/healthz" or "/readyz" || IsKnown(context.Request.Headers.Authorization))
        {
            return next(context);
        }
        context.Response.StatusCode = StatusCodes.Status401Unauthorized;
        context.Response.Headers.WWWAuthenticate = new([.. Challenges()]);
        return Task.CompletedTask;
    }

    private IEnumerable<string> Challenges()
    {
        if (tokens is not null)
        {
            yield return Bearer;
        }
        if (passwords is not null)
        {
            yield return $"{Basic} realm=\"podnet-exporter\", charset=\"UTF-8\"";
        }
    }

    private bool IsKnown(string? header)
    {
        if (!AuthenticationHeaderValue.TryParse(header, out var shown) || shown.Parameter is null)
        {
            return false;
        }
        var expected = Is(Bearer) ? tokens : Is(Basic) ? passwords : null;
        return expected is not null && Matches(Encoding.UTF8.GetBytes(shown.Parameter), expected.Current);

        bool Is(string scheme) => shown.Scheme.Equals(scheme, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The time that it takes tells nothing of what would be right.</summary>
    private static bool Matches(ReadOnlySpan<byte> shown, byte[][] expected)
    {
        var found = false;
        foreach (var one in expected)
        {
            // Of the same length whatever was shown: FixedTimeEquals returns at once where lengths differ.
            var sized = new byte[one.Length];
            shown[..Math.Min(shown.Length, one.Length)].CopyTo(sized);
            found |= CryptographicOperations.FixedTimeEquals(sized, one) & shown.Length == one.Length;
        }
        return found;
    }

    private static byte[][] ParseToken(string text) => text.Trim() is { Length: > 0 } token && !token.Any(char.IsWhiteSpace)
        ? [Encoding.UTF8.GetBytes(token)]
        : throw new FormatException("has to hold one token, without blanks or line breaks in it");

    private static byte[][] ParsePasswords(string text)
    {
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.Length > 0 && lines.All(line => line.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon && colon < line.Length - 1)
            ? [.. lines.Select(line => Encoding.UTF8.GetBytes(Convert.ToBase64String(Encoding.UTF8.GetBytes(line))))]
            : throw new FormatException("has to hold lines of the form name:password");
    }
}
