using Exporter.Options;

namespace Exporter.Peers;

/// <summary>
/// Classes of addresses, for peers that have no name of their own. The longest prefix that has an address decides. Immutable; look-ups allocate nothing.
/// </summary>
internal sealed class PeerClasses
{
    internal const string Key = "Edges:Classes";

    /// <summary>The class of the cluster's pods. It has to be given, since no built-in class knows their networks.</summary>
    internal const string Pods = "pods";

    /// <summary>Every address that no other class has.</summary>
    internal const string Internet = "internet";

    /// <summary>Only the built-in classes.</summary>
    internal static readonly PeerClasses BuiltIn = PeerClassList.Parse([]);

    /// <summary>The first address of each range, ascending from 0 on. A range ends where the next one begins.</summary>
    private readonly UInt128[] _starts;

    /// <summary>The class of each range.</summary>
    private readonly string[] _classes;

    /// <summary>All ranges with their classes: two of the same text find the same.</summary>
    internal string Text => string.Join(';', _starts.Zip(_classes, (start, name) => $"{start:x}={name}"));

    /// <param name="prefixes">Networks without bits behind the prefix, each once.</param>
    internal PeerClasses(IReadOnlyCollection<(AddressPrefix Prefix, string Class)> prefixes)
    {
        List<(UInt128 Start, string Class)> ranges = [(UInt128.Zero, Internet)];
        Stack<(UInt128 Last, string Class)> around = new([(UInt128.MaxValue, Internet)]);
        foreach (var (prefix, name) in prefixes.OrderBy(pair => pair.Prefix.First).ThenBy(pair => pair.Prefix.Length))
        {
            LeaveBefore(prefix.First);
            Begin(prefix.First, name);
            around.Push((prefix.Last, name));
        }
        LeaveBefore(UInt128.MaxValue);
        _starts = [.. ranges.Select(range => range.Start)];
        _classes = [.. ranges.Select(range => range.Class)];
        Names = [.. prefixes.Select(pair => pair.Class).Append(Internet).Distinct().Order(StringComparer.Ordinal)];

        // Networks either contain each other or have no address in common, so those that end before this address are on top.
        void LeaveBefore(UInt128 start)
        {
            while (around.Peek().Last < start)
            {
                var last = around.Pop().Last;
                Begin(last + 1, around.Peek().Class);
            }
        }

        void Begin(UInt128 start, string name)
        {
            if (ranges[^1].Start == start)
            {
                ranges.RemoveAt(ranges.Count - 1);
            }
            if (ranges.Count == 0 || ranges[^1].Class != name)
            {
                ranges.Add((start, name));
            }
        }
    }

    /// <summary>All classes, built-in and given, by name.</summary>
    internal IReadOnlyList<string> Names { get; }

    /// <summary>Whether the networks of the cluster's pods are given, as flows and edges need it.</summary>
    internal bool HasPods => Names.Contains(Pods);

    internal static PeerClasses Read(OptionReader reader) => reader.List(
        Key,
        "",
        "name=network,network;name=network",
        "Classes of addresses, for peers that are not of this node and have no name: the longest prefix decides. pods, the networks of the cluster's pods, is required with flows or edges. "
            + "Built in are metadata, private (with link-local addresses), multicast, and internet for all others; a class of the same name replaces them.",
        OptionReader.TextOrArray(
            """{"type": "string"}""",
            """{"type": "array", "items": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])? *= *[^;]+$"}}"""),
        PeerClassList.Parse,
        isLive: true);

    /// <summary>The class of an address.</summary>
    /// <param name="address">4 or 16 bytes in the order of the network.</param>
    internal string Find(ReadOnlySpan<byte> address) => Find(PeerAddress.Key(address));

    /// <param name="address">As <see cref="PeerAddress"/> has it.</param>
    internal string Find(UInt128 address)
    {
        var (from, to) = (0, _starts.Length);
        while (to - from > 1)
        {
            var middle = (from + to) >>> 1;
            (from, to) = _starts[middle] <= address ? (middle, to) : (from, middle);
        }
        return _classes[from];
    }
}
