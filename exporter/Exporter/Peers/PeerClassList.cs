namespace Exporter.Peers;

/// <summary>Reads the list of classes, and gathers all errors in it.</summary>
internal static class PeerClassList
{
    /// <summary>The longest DNS label (RFC 1123), which a name of a class is.</summary>
    internal const int MaxName = 63;

    private const int MaxClasses = 64;
    private const int MaxNetworks = 1024;
    private const string Private = "private";

    /// <summary>Names of peers that are not classes, as records and series have them.</summary>
    private static readonly string[] Reserved = ["service", "node", "workload", "__other__", "__unrecorded__"];

    /// <summary>
    /// IANA's registries of special addresses: metadata services of clouds (EC2 over IPv4 and IPv6, GCE over IPv6), RFC 1918, RFC 6598, RFC 4193, RFC 5771, RFC 919,
    /// RFC 4291. The last one is IPv4 as a whole: ::/0 is IPv6 alone.
    /// </summary>
    private static readonly (string Class, string[] Networks)[] BuiltIn =
    [
        ("metadata", ["169.254.169.254/32", "fd00:ec2::254/128", "fd20:ce::254/128"]),
        (Private, ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]),
        ("multicast", ["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"]),
        (PeerClasses.Internet, ["0.0.0.0/0"]),
    ];

    /// <summary>No address of these can be reached from another link, so they are private whatever that class was replaced by.</summary>
    private static readonly string[] LinkLocal = ["169.254.0.0/16", "fe80::/10"];

    /// <param name="parts">name=network,network.</param>
    /// <exception cref="FormatException">The list has errors: all of them.</exception>
    internal static PeerClasses Parse(IReadOnlyList<string> parts)
    {
        var errors = new List<string>();
        var given = new Dictionary<AddressPrefix, string>();
        var names = new HashSet<string>();
        foreach (var part in parts)
        {
            var (name, networks) = part.IndexOf('=', StringComparison.Ordinal) is >= 0 and var at
                ? (part[..at].Trim(), part[(at + 1)..].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                : (part, []);
            if (FindErrorIn(name, networks, names) is { } error)
            {
                errors.Add(error);
            }
            foreach (var network in networks)
            {
                errors.AddRange(Add(given, network, name));
            }
        }
        if (names.Count > MaxClasses || given.Count > MaxNetworks)
        {
            errors.Add($"has {names.Count} classes with {given.Count} networks; there can be {MaxClasses} classes and {MaxNetworks} networks");
        }
        return errors.Count == 0 ? Complete(given, names) : throw new FormatException(string.Join("; ", errors));
    }

    private static string? FindErrorIn(string name, string[] networks, HashSet<string> names) =>
        Reserved.Contains(name) ? $"has the class '{name}', a name that is reserved for other peers; choose another name"
        : !IsLabel(name) ? $"has the class '{name}'; a name is lower-case letters, digits and hyphens, at most {MaxName}, and begins and ends with a letter or digit"
        : networks.Length == 0 ? $"has the class '{name}' without a network; write {name}=10.0.0.0/8,fd00::/8"
        : !names.Add(name) ? $"has the class '{name}' twice; write all its networks behind one name"
        : null;

    /// <summary>Adds a network to those given. Returns errors.</summary>
    private static List<string> Add(Dictionary<AddressPrefix, string> given, string text, string name)
    {
        if (AddressPrefix.Parse(text) is not { } prefix)
        {
            return [$"has '{text}' in the class '{name}', which is not a network; write an address and the length of its prefix, like 10.0.0.0/8 or fd00::/8"];
        }
        var network = prefix.Network;
        List<string> errors = prefix == network ? [] : [$"has '{text}' in the class '{name}', which has bits behind its prefix; write {network}"];
        if (!given.TryAdd(network, name))
        {
            errors.Add(given[network] == name ? $"has {network} twice in the class '{name}'" : $"has {network} in the classes '{given[network]}' and '{name}'; leave it in one");
        }
        return errors;
    }

    /// <summary>Adds the built-in classes that were not given, but for networks that were.</summary>
    private static PeerClasses Complete(Dictionary<AddressPrefix, string> given, HashSet<string> names)
    {
        foreach (var (name, networks) in BuiltIn.Where(builtIn => builtIn.Class == PeerClasses.Internet || !names.Contains(builtIn.Class)).Append((Private, LinkLocal)))
        {
            foreach (var network in networks)
            {
                given.TryAdd(AddressPrefix.Parse(network)!.Value, name);
            }
        }
        return new([.. given.Select(pair => (pair.Key, pair.Value))]);
    }

    /// <summary>Whether a text is a DNS label (RFC 1123) in lower case.</summary>
    internal static bool IsLabel(string name) =>
        name.Length is > 0 and <= MaxName && name[0] != '-' && name[^1] != '-' && name.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter == '-');
}
