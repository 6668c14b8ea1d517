using Exporter.Options;

namespace Exporter.State;

/// <summary>Options of the BPF objects and of the state that outlives the process.</summary>
/// <param name="PinDirectory">Empty: nothing is pinned.</param>
/// <param name="ObjectDirectory">Empty: there is none.</param>
/// <param name="ObjectHashes">In lower case; empty: any.</param>
internal sealed record BpfOptions(int MaxInterfaces, bool RunStatistics, string PinDirectory, string ObjectDirectory, IReadOnlySet<string> ObjectHashes)
{
    internal static BpfOptions Read(OptionReader reader)
    {
        var options = ReadSection(reader);
        reader.Require(options.PinDirectory is "" or ['/', ..], "Bpf:PinDirectory", "is not a path from the root on, like /sys/fs/bpf/podnet");
        return options;
    }

    private static BpfOptions ReadSection(OptionReader reader) => new(
        reader.Number(
            "Bpf:MaxInterfaces",
            1024,
            1,
            65536,
            "Most interfaces with traffic, and most network namespaces with handshakes, between two drains; each takes about 1 KiB of kernel memory for every CPU and 3 KiB more."),
        reader.Switch(
            "Bpf:RunStatistics",
            false,
            "Have the kernel measure the run time of all BPF programs of the machine; needs CAP_SYS_ADMIN."),
        reader.AbsolutePath(
            "Bpf:PinDirectory",
            "a path in a BPF file system",
            "Where programs, maps and totals are pinned, so that a restart or an upgrade loses no packet of known interfaces and counters continue; empty: nothing is pinned.",
            "/sys/fs/bpf/podnet"),
        reader.AbsolutePath(
            "Bpf:ObjectDirectory",
            "a path",
            "Directory of BPF objects, pod_traffic.bpf.o, tcp_handshake.bpf.o and uplink.bpf.o, that replace the built-in ones whenever they change; only root may be able to write there, unless it is mounted read-only; empty: no directory."),
        reader.List(
            "Bpf:ObjectHashes",
            "",
            "SHA-256 digests in hexadecimal",
            "Digests of the BPF objects that may be used; empty: any.",
            OptionReader.TextOrArray(
                """{"type": "string", "pattern": "^([0-9a-fA-F]{64}(;[0-9a-fA-F]{64})*)?$"}""",
                """{"type": "array", "items": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}}"""),
            ParseHashes));

    private static HashSet<string> ParseHashes(IReadOnlyList<string> texts)
    {
        const int Digits = 64;
        return texts.FirstOrDefault(text => text.Length != Digits || !text.All(char.IsAsciiHexDigit)) is { } wrong
            ? throw new FormatException($"has '{wrong}', which is not a SHA-256 digest of {Digits} hexadecimal digits, as sha256sum prints it")
            : [.. texts.Select(text => text.ToLowerInvariant())];
    }
}
