using System.Globalization;
using Exporter.Options;
using Exporter.Peers;
using Exporter.Records;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>Lists that flows are compared with: Flows:Include or Flows:Exclude. A flow matches a list where one of its ends does. Immutable.</summary>
/// <param name="Text">All lists as they were given, for the digest of the options.</param>
internal sealed record FlowCriteria(
    IReadOnlySet<string> Namespaces, AddressRanges Networks, NumberSet Ports, NumberSet Protocols, IReadOnlySet<string> Classes, string Text)
{
    internal bool IsEmpty => Namespaces.Count == 0 && Networks.IsEmpty && Ports.IsEmpty && Protocols.IsEmpty && Classes.Count == 0;

    /// <param name="section">Flows:Include or Flows:Exclude.</param>
    /// <param name="effect">The end of a sentence about flows that match.</param>
    /// <param name="classes">Those that there are.</param>
    internal static FlowCriteria Read(OptionReader reader, string section, string effect, PeerClasses classes)
    {
        var texts = new List<string>();
        var criteria = new FlowCriteria(
            Names($"{section}:Namespaces", "namespaces", $"Namespaces of pods and Services: flows with an end in one {effect}."),
            List(
                $"{section}:Cidrs",
                "networks, like 10.0.0.0/8",
                $"Networks: flows with an address in one {effect}.",
                """{"type": "string", "pattern": "^[0-9a-fA-F:.]+/[0-9]+$"}""",
                parts => new AddressRanges(parts.Select(ParseNetwork).ToArray())),
            List(
                $"{section}:Ports",
                "ports and ranges, like 443;8000-8999",
                $"Ports of TCP, UDP and SCTP: flows with one at either end {effect}.",
                """{"type": ["integer", "string"], "pattern": "^[0-9]+(-[0-9]+)?$", "minimum": 0, "maximum": 65535}""",
                parts => new NumberSet(parts.Select(ParsePorts).ToArray())),
            List(
                $"{section}:Protocols",
                "tcp, udp, sctp, icmp, ipv6-icmp, or numbers from 0 to 255",
                $"Protocols: flows of one {effect}.",
                """{"type": ["integer", "string"], "pattern": "^(tcp|udp|sctp|icmp|ipv6-icmp|[0-9]+)$", "minimum": 0, "maximum": 255}""",
                parts => new NumberSet(parts.Select(ParseProtocol).ToArray())),
            Names($"{section}:Classes", "classes", $"Classes, which Edges:Classes has, and service and node: flows with an end of one {effect}."),
            "");
        foreach (var name in criteria.Classes.Where(name => name is not (Peer.ServiceClass or Peer.NodeClass) && !classes.Names.Contains(name)))
        {
            reader.Require(
                isGood: false,
                $"{section}:Classes",
                $"has '{name}', which is not a class; the classes are {string.Join(", ", [.. classes.Names, Peer.NodeClass, Peer.ServiceClass])}, and {PeerClasses.Key} adds others");
        }
        return criteria with { Text = string.Join('\n', texts) };

        IReadOnlySet<string> Names(string key, string values, string description) =>
            List<IReadOnlySet<string>>(key, values, description, """{"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}""", parts => parts.Select(ParseName).ToHashSet());

        T List<T>(string key, string values, string description, string item, Func<IReadOnlyList<string>, T> parse)
        {
            IReadOnlyList<string> given = [];
            var read = reader.List(
                key,
                "",
                values,
                description,
                OptionReader.TextOrArray("""{"type": ["string", "integer"]}""", $$"""{"type": "array", "items": {{item}}}"""),
                parts => parse(given = parts),
                isLive: true);
            texts.Add(string.Join(';', given));
            return read;
        }
    }

    /// <summary>Whether an end matches each list that is not empty.</summary>
    internal bool MatchesAll(in FlowKey key, RecordEnd? local, RecordEnd? remote) =>
        (Namespaces.Count == 0 || MatchesNamespace(local, remote))
        && (Networks.IsEmpty || MatchesNetwork(key))
        && (Ports.IsEmpty || MatchesPort(key))
        && (Protocols.IsEmpty || Protocols.Contains(key.Protocol))
        && (Classes.Count == 0 || MatchesClass(local, remote));

    /// <summary>Whether an end matches at least one list.</summary>
    internal bool MatchesAny(in FlowKey key, RecordEnd? local, RecordEnd? remote) =>
        (Namespaces.Count > 0 && MatchesNamespace(local, remote))
        || (!Networks.IsEmpty && MatchesNetwork(key))
        || (!Ports.IsEmpty && MatchesPort(key))
        || (!Protocols.IsEmpty && Protocols.Contains(key.Protocol))
        || (Classes.Count > 0 && MatchesClass(local, remote));

    private bool MatchesNamespace(RecordEnd? local, RecordEnd? remote) =>
        (local is not null && Namespaces.Contains(local.Namespace)) || (remote is not null && Namespaces.Contains(remote.Namespace));

    private bool MatchesNetwork(in FlowKey key) => Networks.Contains(key.LocalAddress) || Networks.Contains(key.RemoteAddress);

    private bool MatchesPort(in FlowKey key) => IpProtocol.HasPorts(key.Protocol) && (Ports.Contains(key.LocalPortNumber) || Ports.Contains(key.RemotePortNumber));

    private bool MatchesClass(RecordEnd? local, RecordEnd? remote) =>
        (local is not null && Classes.Contains(local.Class)) || (remote is not null && Classes.Contains(remote.Class));

    private static string ParseName(string text) =>
        PeerClassList.IsLabel(text)
            ? text
            : throw new FormatException($"has '{text}'; a name has lower-case letters, digits and hyphens, at most {PeerClassList.MaxName}, and begins and ends with a letter or digit");

    private static AddressPrefix ParseNetwork(string text) =>
        AddressPrefix.Parse(text) is not { } prefix
            ? throw new FormatException($"has '{text}', which is not a network; write an address and the length of its prefix, like 10.0.0.0/8 or fd00::/8")
            : prefix == prefix.Network ? prefix : throw new FormatException($"has '{text}', which has bits behind its prefix; write {prefix.Network}");

    private static (int First, int Last) ParsePorts(string text)
    {
        var parts = text.Split('-', StringSplitOptions.TrimEntries);
        return parts.Length <= 2 && TryParse(parts[0], ushort.MaxValue) is { } first && TryParse(parts[^1], ushort.MaxValue) is { } last && first <= last
            ? (first, last)
            : throw new FormatException($"has '{text}', which is not a port or a range of ports; write numbers from 0 to 65535, like 443 or 8000-8999");
    }

    private static (int First, int Last) ParseProtocol(string text)
    {
        foreach (var protocol in (ReadOnlySpan<byte>)[IpProtocol.Tcp, IpProtocol.Udp, IpProtocol.Sctp, IpProtocol.Icmp, IpProtocol.Icmpv6])
        {
            if (text.Equals(IpProtocol.NameOf(protocol), StringComparison.OrdinalIgnoreCase))
            {
                return (protocol, protocol);
            }
        }
        return TryParse(text, byte.MaxValue) is { } number
            ? (number, number)
            : throw new FormatException($"has '{text}', which is not a protocol; write tcp, udp, sctp, icmp, ipv6-icmp or a number from 0 to 255");
    }

    private static int? TryParse(string text, int most) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= most ? number : null;
}
