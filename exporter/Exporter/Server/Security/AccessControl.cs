using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Exporter.Options;

namespace Exporter.Server.Security;

/// <summary>Requires a bearer token or basic credentials for everything but the probes.</summary>
/// <param name="tokens">Valid tokens as clients send them, in UTF-8; null: tokens are not accepted.</param>
/// <param name="passwords">Valid basic credentials as clients send them, in UTF-8; null: passwords are not accepted.</param>
internal sealed partial class AccessControl(SecretFile<byte[][]>? tokens, SecretFile<byte[][]>? passwords, ServerRefusals refusals)
{
    private const string Bearer = "Bearer";
    private const string Basic = "Basic";

    /// <summary>The prefix of a password that looks like a hash, as in nginx.</summary>
    private const string PlainScheme = "{PLAIN}";

    private const string TokenKey = "Server:BearerTokenFile";
    private const string PasswordsKey = "Server:BasicAuthFile";

    /// <exception cref="FormatException">A file cannot be read or used.</exception>
    internal static AccessControl Open(SecretFiles files, ServerOptions options, ServerRefusals refusals) => new(
        options.BearerTokenFile.Length > 0 ? files.Open("bearer_token", TokenKey, [options.BearerTokenFile], texts => ParseToken(texts[0])) : null,
        options.BasicAuthFile.Length > 0 ? files.Open("basic_auth", PasswordsKey, [options.BasicAuthFile], texts => ParsePasswords(texts[0])) : null,
        refusals);

    /// <summary>Checks that the files can be read and used.</summary>
    internal static void Check(ServerOptions options, OptionReader reader)
    {
        if (options.BearerTokenFile.Length > 0)
        {
            SecretFiles.Check(reader, TokenKey, [options.BearerTokenFile], texts => ParseToken(texts[0]));
        }
        if (options.BasicAuthFile.Length > 0)
        {
            SecretFiles.Check(reader, PasswordsKey, [options.BasicAuthFile], texts => ParsePasswords(texts[0]));
        }
    }

    /// <summary>Passes authorized requests on and answers others with 401. Probes have neither tokens nor passwords.</summary>
    internal Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        if ((tokens is null && passwords is null) || context.Request.Path.Value is "/healthz" or "/readyz" || IsKnown(context.Request.Headers.Authorization))
        {
            return next(context);
        }
        refusals.Count(RefusalReason.Unauthorized);
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
        // Not by AuthenticationHeaderValue, which takes a comma in a token for the end of it.
        if (header?.Split(' ', 2) is not [var scheme, var shown])
        {
            return false;
        }
        var expected = Is(Bearer) ? tokens : Is(Basic) ? passwords : null;
        return expected is not null && Matches(Encoding.UTF8.GetBytes(shown.Trim()), expected.Current);

        bool Is(string name) => scheme.Equals(name, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Compares in constant time: the duration reveals nothing about the valid credentials.</summary>
    private static bool Matches(ReadOnlySpan<byte> shown, byte[][] expected)
    {
        var found = false;
        foreach (var one in expected)
        {
            // FixedTimeEquals returns at once if lengths differ, so the text is brought to the expected length.
            var sized = new byte[one.Length];
            shown[..Math.Min(shown.Length, one.Length)].CopyTo(sized);
            found |= CryptographicOperations.FixedTimeEquals(sized, one) & shown.Length == one.Length;
        }
        return found;
    }

    private static byte[][] ParseToken(string text) => text.Trim() is { Length: > 0 } token && !token.Any(char.IsWhiteSpace)
        ? [Encoding.UTF8.GetBytes(token)]
        : throw new FormatException("has to hold one token, without blanks or line breaks in it");

    /// <summary>
    /// Reads lines with passwords in clear text, and returns each line's credentials as clients send them. A line with a hash, as htpasswd(1) writes it, is an error: taken as a password, the hash itself
    /// would be valid, and the password behind it would not.
    /// </summary>
    /// <exception cref="FormatException">A line is not one of these, or there is none. The message continues a sentence that begins with the file.</exception>
    internal static byte[][] ParsePasswords(string text)
    {
        var shown = new List<byte[]>();
        foreach (var (index, line) in text.Split('\n', StringSplitOptions.TrimEntries).Index())
        {
            if (line.Length == 0)
            {
                continue;
            }
            if (line.Split(':', 2) is not [{ Length: > 0 } name, { Length: > 0 } password])
            {
                throw new FormatException($"has to hold lines of the form name:password, and line {index + 1} is not one");
            }
            if (password.StartsWith(PlainScheme, StringComparison.Ordinal))
            {
                password = password[PlainScheme.Length..];
            }
            else if (Hash().Match(password) is { Success: true } hash)
            {
                var kind = hash.Groups["scheme"] is { Success: true } scheme ? $"one of {scheme.Value}" : "one of crypt(3)";
                throw new FormatException(
                    $"has a hash ({kind}) for {name} in line {index + 1}, and hashes are not supported: write the password itself; write {PlainScheme}password if it only looks like a hash");
            }
            shown.Add(Encoding.UTF8.GetBytes(Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}"))));
        }
        return shown.Count > 0 ? [.. shown] : throw new FormatException("has to hold lines of the form name:password, and is empty");
    }

    /// <summary>
    /// <c>$id$...</c> of crypt(5), Apache and Argon2, <c>{SCHEME}...</c> of RFC 2307, and the two formats of crypt(5) without an id: 13 characters
    /// of DES, and 20 of BSDi that begin with an underscore.
    /// </summary>
    [GeneratedRegex(@"^(?<scheme>\$[A-Za-z0-9-]+\$|\{[A-Za-z0-9.-]+\})|^(_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13})$", RegexOptions.CultureInvariant)]
    private static partial Regex Hash();
}
