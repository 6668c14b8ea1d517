using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Exporter.Options;

/// <summary>An option as the help and the documentation list it.</summary>
/// <param name="Schema">A JSON Schema on one line for the chart's values. It may refer to definitions in values.schema.json.</param>
/// <param name="IsLive">Whether a change takes effect while the program runs; else at the next start.</param>
/// <param name="Previous">Its key in an earlier version, which is an error that names the present key; null: it had no other key.</param>
/// <param name="IsInPlace">Whether a change needs no new object: the session continues with the new value.</param>
internal sealed record OptionDescription(string Key, string Values, string Default, string Description, string Schema, bool IsLive, string? Previous, bool IsInPlace);

/// <summary>
/// Turns configuration text into values and gathers all errors, so that they are reported at once. It also remembers which keys were read: any other
/// key is an error, since it would silently do nothing.
/// </summary>
internal sealed partial class OptionReader(IConfiguration configuration)
{
    /// <summary>The value off. Without quotes YAML reads it as false.</summary>
    private const string Off = "off";

    private const string AnyText = """{"type": ["string", "null"]}""";
    private const string PathText = """{"type": ["string", "null"], "pattern": "^(/.*)?$"}""";

    private readonly List<OptionDescription> _options = [];
    private readonly List<string> _errors = [];

    /// <summary>The options read so far.</summary>
    internal IReadOnlyList<OptionDescription> Options => _options;

    /// <summary>The errors in the options read so far, and keys that are not options. Each is a line that names the key.</summary>
    internal IReadOnlyList<string> Errors =>
    [
        .. _errors,
        .. configuration.AsEnumerable()
            .Where(pair => pair.Value is not null && !_options.Any(option => IsSame(option.Key, pair.Key)))
            .Select(pair => LoggingKeys.IsIn(pair.Key) ? LoggingKeys.FindError(pair.Key, pair.Value!)
                : _options.Find(option => option.Previous is { } previous && IsSame(previous, pair.Key)) is { } renamed
                    ? $"{pair.Key}: this option is called {renamed.Key} now; use that name."
                    : $"{pair.Key}: there is no such option. 'podnet-exporter help' lists the options.")
            .OfType<string>()
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>Whether there is an error whose reason can end without another change of the options.</summary>
    internal bool IsRefusedFromOutside { get; private set; }

    internal bool IsSet(string key) => configuration[key] is not null;

    /// <summary>Whether there is an error of this option already. Its value is the default then.</summary>
    internal bool IsRefused(string key) => _errors.Any(error => error.StartsWith($"{key}: ", StringComparison.Ordinal));

    /// <summary>Adds an error if a condition on several options does not hold.</summary>
    internal void Require(bool isGood, string key, string problem)
    {
        if (!isGood)
        {
            AddError($"{key}: '{configuration[key] ?? _options.First(option => option.Key == key).Default}' {problem}.");
        }
    }

    /// <summary>Whether a text is the absolute path of a file.</summary>
    internal static bool IsFilePath(string path) => path is ['/', .. [.., not '/']];

    /// <summary>Adds an error if an option is neither empty nor the absolute path of a file.</summary>
    internal void RequireFilePath(string path, string key) =>
        Require(path.Length == 0 || IsFilePath(path), key, "is not the absolute path of a file; write one that begins with / and does not end in /");

    /// <summary>Adds an error that does not repeat the value, which may be a secret.</summary>
    /// <param name="isOutside">Whether the reason can end without another change of the options, as that a file which they name cannot be read.</param>
    internal void Refuse(string key, string problem, bool isOutside = false)
    {
        IsRefusedFromOutside |= isOutside;
        _errors.Add($"{key}: {problem}.");
    }

    /// <param name="isInPlace">As <see cref="OptionDescription.IsInPlace"/>.</param>
    internal TimeSpan Duration(
        string key, TimeSpan byDefault, TimeSpan least, TimeSpan most, string description, bool isLive = false, string? previous = null, bool isInPlace = false) =>
        Read(key, $"{least:c} to {most:c}", byDefault, byDefault.ToString("c"), description, Defined("duration"), text =>
            // A bare number would be days.
            text.Contains(':', StringComparison.Ordinal) && TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out var value)
                ? value >= least && value <= most
                    ? value
                    : throw new FormatException($"is out of range; it can be from {least:c} to {most:c}")
                : throw new FormatException($"is not a duration; write [days.]hours:minutes:seconds, like {byDefault:c}"),
            isLive,
            previous,
            isInPlace);

    internal int Number(string key, int byDefault, int least, int most, string description, bool isLive = false, string? previous = null) =>
        Read(key, $"{least} to {most}", byDefault, byDefault.ToString(CultureInfo.InvariantCulture), description, Integer(least, most), text =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
                ? value
                : throw new FormatException($"is not a whole number from {least} to {most}"),
            isLive,
            previous);

    /// <summary>Reads a size in bytes, which can be written with KiB, MiB or GiB.</summary>
    internal long Size(string key, long byDefault, long least, long most, string description, bool isLive = false)
    {
        var range = $"{ByteSize.Write(least)} to {ByteSize.Write(most)}";
        var schema = $$"""{"type": ["string", "integer", "null"], "pattern": "{{ByteSize.Pattern}}", "minimum": {{least}}, "maximum": {{most}}}""";
        return Read(key, range, byDefault, ByteSize.Write(byDefault), description, schema, text =>
            ByteSize.TryParse(text) is not { } value ? throw new FormatException($"is not a size; write a whole number of bytes, KiB, MiB or GiB, like {ByteSize.Write(byDefault)}")
            : value >= least && value <= most ? value
            : throw new FormatException($"is out of range; it can be from {range}"),
            isLive);
    }

    internal bool Switch(string key, bool byDefault, string description) =>
        Read(key, "true, false", byDefault, byDefault ? "true" : "false", description, """{"type": ["boolean", "null"]}""", text =>
            bool.TryParse(text, out var value) ? value : throw new FormatException("is not one of true, false"));

    /// <summary>Reads bucket bounds in seconds, ascending and separated by semicolons. They are returned in nanoseconds.</summary>
    internal IReadOnlyList<ulong> Bounds(string key, string byDefault, int most, string description) =>
        Read(
            key,
            $"1 to {most} numbers of seconds from 0.000001 to 600, ascending",
            ParseBounds(byDefault, most),
            byDefault,
            description,
            TextOrArray(
                $$"""{"type": "string", "pattern": "^ *[0-9.]+ *(; *[0-9.]+ *){0,{{most - 1}}}$"}""",
                $$$"""{"type": "array", "minItems": 1, "maxItems": {{{most}}}, "items": {"type": "number", "minimum": 0.000001, "maximum": 600}}"""),
            text => ParseBounds(text, most));

    internal string Text(string key, string values, string description) => Read(key, values, "", "", description, AnyText, text => text);

    /// <summary>Reads the path of a file or directory. The chart's schema requires an absolute path.</summary>
    internal string AbsolutePath(string key, string values, string description, string byDefault = "") => Read(key, values, byDefault, byDefault, description, PathText, text => text);

    /// <summary>Reads parts separated by semicolons.</summary>
    /// <param name="schema">See <see cref="OptionDescription.Schema"/>.</param>
    /// <param name="parse">Creates the value from the parts. Throws <see cref="FormatException"/>.</param>
    internal T List<T>(string key, string byDefault, string values, string description, string schema, Func<IReadOnlyList<string>, T> parse, bool isLive = false)
    {
        return Read(key, values, Parse(byDefault), byDefault, description, schema, Parse, isLive);

        T Parse(string text) => parse(text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
    }

    /// <param name="values">The values that can be chosen; null: all.</param>
    internal T Choice<T>(string key, T byDefault, string description, bool isLive = false, string? previous = null, IReadOnlyList<T>? values = null)
        where T : struct, Enum
    {
        values ??= Enum.GetValues<T>();
        var texts = string.Join(", ", values.Select(EnumText.Lower));
        return Read(key, texts, byDefault, EnumText.Lower(byDefault), description, OneOf(values.Select(EnumText.Lower)), text =>
            values.Cast<T?>().FirstOrDefault(value => IsSame(EnumText.Lower(value!.Value), text))
                ?? throw new FormatException($"is not one of {texts}"),
            isLive,
            previous);
    }

    /// <param name="isInPlace">As <see cref="OptionDescription.IsInPlace"/>.</param>
    internal Regex? Pattern(string key, string description, bool isLive = false, bool isInPlace = false) =>
        Read<Regex?>(key, "a regular expression", null, "", description, AnyText, text =>
        {
            try
            {
                // Without backtracking the time is linear in the text's length: no pattern can stop discovery.
                return text.Length == 0 ? null : new Regex(text, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
            }
            catch (ArgumentException e)
            {
                throw new FormatException($"is not a regular expression: {PlainWords.Reason(e)}");
            }
            catch (NotSupportedException)
            {
                // The exception is of one type for both, and its text may change.
                throw new FormatException("is not a regular expression that can be used: it looks ahead or behind, refers back or is atomic, which takes backtracking, or is too large");
            }
        }, isLive, isInPlace: isInPlace);

    internal IReadOnlyList<string> Urls(string key, string byDefault, string description) =>
        Read(
            key,
            "http or https addresses",
            ParseUrls(byDefault),
            byDefault,
            description,
            TextOrArray(Defined("urls"), $$"""{"type": "array", "minItems": 1, "items": {{Defined("url")}}}"""),
            ParseUrls);

    /// <summary>The parts of a list that is separated by commas too, as addresses are elsewhere.</summary>
    internal static IEnumerable<string> AtCommas(IReadOnlyList<string> parts) =>
        parts.SelectMany(part => part.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    /// <summary>The schema of a list: a text with parts separated by semicolons, or an array.</summary>
    internal static string TextOrArray(string text, string array) => $$"""{"oneOf": [{{text}}, {{array}}, {"type": "null"}]}""";

    /// <summary>A reference to a definition in values.schema.json.</summary>
    internal static string Defined(string name) => $$"""{"$ref": "#/$defs/{{name}}"}""";

    private static string Integer(int least, int most) => $$"""{"type": ["integer", "null"], "minimum": {{least}}, "maximum": {{most}}}""";

    private static string OneOf(IEnumerable<string> values)
    {
        var texts = values.SelectMany(value => value == Off ? (string[])[$"\"{value}\"", "false"] : [$"\"{value}\""]);
        return $$"""{"enum": [{{string.Join(", ", texts)}}, null]}""";
    }

    private static ulong[] ParseBounds(string text, int most)
    {
        const decimal Least = 0.000001m, Greatest = 600, NanosecondsPerSecond = 1_000_000_000;
        var parts = text.Split(';', StringSplitOptions.TrimEntries);
        if (parts.Length > most)
        {
            throw new FormatException($"has {parts.Length} bounds; there can be {most}");
        }
        var bounds = new ulong[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            // decimal keeps the written value exactly, to the nanosecond.
            if (!decimal.TryParse(parts[i], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds))
            {
                throw new FormatException($"has '{parts[i]}', which is not a number of seconds; write 0.001;0.01;0.1");
            }
            if (seconds is < Least or > Greatest || seconds * NanosecondsPerSecond % 1 != 0)
            {
                throw new FormatException($"has {parts[i]}, which is not from {Least} to {Greatest} seconds in whole nanoseconds");
            }
            bounds[i] = (ulong)(seconds * NanosecondsPerSecond);
            if (i > 0 && bounds[i] <= bounds[i - 1])
            {
                throw new FormatException($"does not ascend: {parts[i]} comes after {parts[i - 1]}");
            }
        }
        return bounds;
    }

    private static string[] ParseUrls(string text)
    {
        var urls = text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (urls.Length == 0)
        {
            throw new FormatException("is empty; write an address like http://*:9969");
        }
        for (var i = 0; i < urls.Length; i++)
        {
            // Kestrel would read an invalid port as a part of the host and listen on port 80, and would take any host name for all
            // addresses.
            if (HttpAddress().Match(urls[i]) is not { Success: true } address || FindHost(address.Groups["host"].Value) is not { } host)
            {
                throw new FormatException("is not an address; write http://*:port, http://localhost:port or http://address:port, or the same with https, IPv6 in brackets");
            }
            if (int.Parse(address.Groups["port"].ValueSpan, CultureInfo.InvariantCulture) > ushort.MaxValue)
            {
                throw new FormatException($"has a port that does not exist: {address.Groups["port"].Value}");
            }
            if (IsSame(host, "localhost") && address.Groups["port"].Value.Trim('0').Length == 0)
            {
                // These are two addresses, and the kernel may choose two ports.
                throw new FormatException("has localhost with port 0, which are two addresses without a port in common; write http://127.0.0.1:0, or a port");
            }
            urls[i] = urls[i][..address.Groups["host"].Index] + host + urls[i][(address.Groups["port"].Index - 1)..];
        }
        return urls;
    }

    private T Read<T>(string key, string values, T byDefault, string defaultText, string description, string schema, Func<string, T> parse, bool isLive = false, string? previous = null, bool isInPlace = false)
    {
        _options.Add(new(key, values, defaultText, description, schema, isLive, previous, isInPlace));
        if (configuration[key] is not { } text)
        {
            return byDefault;
        }
        try
        {
            return parse(text.Trim());
        }
        catch (FormatException e)
        {
            AddError($"{key}: '{text}' {e.Message}.");
            return byDefault;
        }
    }

    /// <summary>
    /// Formats a host for a URL; null if the text is not a host. Brackets are added to an IPv6 address that has none, and removed from an IPv4
    /// address: the downward API gives the node's address without them (status.hostIP), and http://$(NODE_IP):9969 does not know its family.
    /// </summary>
    private static string? FindHost(string text)
    {
        if (text is "*" or "+" || IsSame(text, "localhost"))
        {
            return text;
        }
        var isAddress = IPAddress.TryParse(text.StartsWith('[') ? text[1..^1] : text, out var address);
        return !isAddress ? null : address!.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{text.Trim('[', ']')}]" : text.Trim('[', ']');
    }

    /// <summary>Adds an error that repeats a text of the configuration. An address may have a password, which no log is to have.</summary>
    private void AddError(string error) => _errors.Add(WithoutPasswords(error));

    /// <summary>Replaces names and passwords of the addresses in a text.</summary>
    internal static string WithoutPasswords(string text) => NameAndPassword().Replace(text, "***@");

    /// <summary>What an address has before its host: up to the last @, since a password may have one.</summary>
    [GeneratedRegex(@"(?<=://)\S*@", RegexOptions.CultureInvariant)]
    private static partial Regex NameAndPassword();

    [GeneratedRegex(
        @"^https?://(?<host>\[[0-9a-f:.%]+\]|[0-9a-f.]*:[0-9a-f:.]*|[^][:/?#@\s]+):(?<port>[0-9]{1,5})/?$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex HttpAddress();

    private static bool IsSame(string left, string right) => left.Equals(right, StringComparison.OrdinalIgnoreCase);
}
