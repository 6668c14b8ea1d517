using Exporter.Options;

namespace Exporter.Export;

/// <summary>The options of the sink elasticsearch, which writes to Elasticsearch and to OpenSearch.</summary>
/// <param name="Urls">Tried in turn; empty: not set. None has a name, a password, a query or a fragment.</param>
/// <param name="Index">The alias; daily indices have the day behind it.</param>
/// <param name="UserFile">As <paramref name="PasswordFile"/>, <paramref name="ApiKeyFile"/> and <paramref name="CaFile"/>: empty if not set.</param>
internal sealed record ElasticsearchOptions(IReadOnlyList<Uri> Urls, string Index, string UserFile, string PasswordFile, string ApiKeyFile, string CaFile)
{
    internal const string SinkName = "elasticsearch";
    internal const string DefaultIndex = "podnet-flow";
    internal const string UrlsKey = "Elasticsearch:Urls";
    internal const string UserFileKey = "Elasticsearch:UserFile";
    internal const string PasswordFileKey = "Elasticsearch:PasswordFile";
    internal const string ApiKeyFileKey = "Elasticsearch:ApiKeyFile";
    internal const string CaFileKey = "Elasticsearch:CaFile";

    private const string IndexKey = "Elasticsearch:Index";

    /// <summary>An index name has at most 255 bytes, and the day takes 11.</summary>
    private const int MaxIndexLength = 200;

    internal static ElasticsearchOptions Read(OptionReader reader)
    {
        var options = new ElasticsearchOptions(
            reader.List(
                UrlsKey,
                "",
                "http or https addresses, separated by commas",
                "Nodes of Elasticsearch or OpenSearch that the sink elasticsearch writes to, tried in turn; a path may follow, where a proxy has one.",
                OptionReader.TextOrArray(
                    """{"type": "string", "pattern": "^ *(https?://[^ ,;]+ *([,;] *https?://[^ ,;]+ *)*)?$"}""",
                    """{"type": "array", "items": {"type": "string", "pattern": "^https?://[^ ,;]+$"}}"""),
                ParseUrls),
            reader.List(
                IndexKey,
                DefaultIndex,
                "a name in small letters",
                "Alias of the daily indices, which have the day of their records behind it, as podnet-flow-2026.11.28.",
                """{"type": ["string", "null"], "pattern": "^[a-z0-9][a-z0-9._-]*$"}""",
                ParseIndex),
            reader.AbsolutePath(UserFileKey, "an absolute path", "File with the name of the user; read again when it changes, as the other files are."),
            reader.AbsolutePath(PasswordFileKey, "an absolute path", "File with the password of the user."),
            reader.AbsolutePath(ApiKeyFileKey, "an absolute path", "File with an API key as Elasticsearch shows it (encoded), in place of a user and a password."),
            reader.AbsolutePath(CaFileKey, "an absolute path", "File in PEM with the authorities that servers' certificates are trusted by; empty: the machine's."));
        foreach (var (key, path) in ((string, string)[])[(UserFileKey, options.UserFile), (PasswordFileKey, options.PasswordFile), (ApiKeyFileKey, options.ApiKeyFile), (CaFileKey, options.CaFile)])
        {
            reader.RequireFilePath(path, key);
        }
        reader.Require(options.UserFile.Length == 0 || options.PasswordFile.Length > 0, UserFileKey, $"is set, and {PasswordFileKey} is not; set both");
        reader.Require(options.PasswordFile.Length == 0 || options.UserFile.Length > 0, PasswordFileKey, $"is set, and {UserFileKey} is not; set both");
        reader.Require(options.ApiKeyFile.Length == 0 || options.UserFile.Length == 0, ApiKeyFileKey, $"is set beside {UserFileKey}; set one of the two");
        reader.Require(
            options.CaFile.Length == 0 || options.Urls.Count == 0 || options.Urls.Any(url => url.Scheme == Uri.UriSchemeHttps),
            CaFileKey,
            $"is set, and no address in {UrlsKey} is of https; write https there, or remove this option");
        return options;
    }

    /// <summary>Reads the address of one server.</summary>
    /// <exception cref="FormatException">It is not such an address; the message continues a sentence that begins with the option.</exception>
    internal static Uri ParseUrl(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https") || url.Host.Length == 0)
        {
            throw new FormatException($"has '{text}', which is not an address; write one like https://elasticsearch:9200");
        }
        if (url.UserInfo.Length > 0)
        {
            throw new FormatException($"has a name or a password in the address of {url.Host}; put them into files, and set {UserFileKey} and {PasswordFileKey}");
        }
        return url.Query.Length == 0 && url.Fragment.Length == 0
            ? url.AbsolutePath.EndsWith('/') ? url : new Uri(url.AbsoluteUri + "/")
            : throw new FormatException($"has '{text}', which has a query or a fragment; write an address like https://elasticsearch:9200");
    }

    /// <summary>Reads the name of an index.</summary>
    /// <exception cref="FormatException">It is not such a name.</exception>
    internal static string ParseIndex(string text) =>
        text.Length is > 0 and <= MaxIndexLength && char.IsAsciiLetterOrDigit(text[0]) && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_' or '.')
            ? text
            : throw new FormatException(FormattableString.Invariant($"is not the name of an index; write small letters, digits, '-', '_' and '.', at most {MaxIndexLength}, and a letter or a digit first"));

    private static Uri[] ParseUrls(IReadOnlyList<string> parts) =>
        [.. OptionReader.AtCommas(parts).Select(ParseUrl)];

    private static string ParseIndex(IReadOnlyList<string> parts) => ParseIndex(string.Join(';', parts));
}
