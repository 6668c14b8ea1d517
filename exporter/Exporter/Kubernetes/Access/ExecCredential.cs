using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Exporter.Kubernetes.Access;

/// <summary>The credentials that a plugin printed: a token, a client certificate, or both.</summary>
/// <param name="Token">Empty: none.</param>
/// <param name="Certificate">Null: none.</param>
/// <param name="Expires">Null: it is used until the API server refuses it.</param>
internal sealed record ExecCredential(string Token, ClientCertificate? Certificate, DateTimeOffset? Expires)
{
    /// <exception cref="FormatException">The output cannot be used. The message continues a sentence that begins with the name of the plugin.</exception>
    internal static ExecCredential Parse(byte[] output, string apiVersion)
    {
        try
        {
            using var document = JsonDocument.Parse(output);
            var root = document.RootElement;
            if (Text(root, "kind") != nameof(ExecCredential) || Text(root, "apiVersion") != apiVersion)
            {
                throw new FormatException($"prints '{Text(root, "kind")}' of '{Text(root, "apiVersion")}', but the kubeconfig wants an ExecCredential of '{apiVersion}'");
            }
            if (!root.TryGetProperty("status", out var status) || status.ValueKind != JsonValueKind.Object)
            {
                throw new FormatException("prints an ExecCredential without a status");
            }
            var (token, certificate, key) = (Text(status, "token"), Text(status, "clientCertificateData"), Text(status, "clientKeyData"));
            if (token.Length == 0 && certificate.Length == 0 && key.Length == 0)
            {
                throw new FormatException("prints an ExecCredential without a token or a clientCertificateData");
            }
            if (certificate.Length == 0 != (key.Length == 0))
            {
                throw new FormatException("prints an ExecCredential with only one of clientCertificateData and clientKeyData");
            }
            if (token.Any(char.IsControl))
            {
                throw new FormatException("prints a token with a line break or another control character in it");
            }
            return new(token, certificate.Length == 0 ? null : Parse(certificate, key), ParseTime(Text(status, "expirationTimestamp")));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new FormatException(output.AsSpan().Trim((byte)'\n').IsEmpty ? "prints nothing" : "prints something other than an ExecCredential in JSON", e);
        }
    }

    private static ClientCertificate Parse(string certificate, string key)
    {
        try
        {
            return ClientCertificate.Parse(Encoding.UTF8.GetBytes(certificate), Encoding.UTF8.GetBytes(key));
        }
        catch (FormatException e)
        {
            throw new FormatException($"prints a clientCertificateData that {e.Message}", e);
        }
    }

    private static DateTimeOffset? ParseTime(string text) =>
        text.Length == 0 ? null
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time
        : throw new FormatException($"prints the expirationTimestamp '{text}', which is not a time in the format of RFC 3339");

    private static string Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value.GetString() ?? "" : "";
}
