using System.Text.RegularExpressions;

namespace Exporter.Options;

/// <summary>Everything that can be set, read and checked once at start. docs/options.md describes each.</summary>
internal sealed record ExporterOptions(
    ServerOptions Server,
    AttachOptions Attach,
    DrainOptions Drain,
    IdentityOptions Identity,
    MetricsOptions Metrics,
    BpfOptions Bpf)
{
    /// <summary>Reads every option; what is wrong is noted in the reader, and stands as its default in the result.</summary>
    internal static ExporterOptions Read(OptionReader reader) => new(
        new(reader.Urls("Server:Urls", "http://*:9969", "Where to listen; several addresses are separated by semicolons.")),
        new(
            reader.Choice("Attach:Hook", HookChoice.Auto, "How to attach: tcx where the kernel has it, else clsact; or one of the two."),
            reader.Pattern("Attach:Include", "Only interfaces whose name matches this regular expression; empty: all pod interfaces."),
            reader.Pattern("Attach:Exclude", "Not the interfaces whose name matches this regular expression; empty: none."),
            (ushort)reader.Number("Attach:Priority", 10, 1, 0xfff0, "The TC priority of clsact filters; lower runs earlier."),
            reader.Duration(
                "Attach:CheckInterval",
                TimeSpan.FromSeconds(15),
                TimeSpan.FromSeconds(1),
                TimeSpan.FromHours(1),
                "How often the counts are compared with the interfaces' own counters, to find programs that were removed or are bypassed.")),
        new(reader.Duration(
            "Drain:Interval",
            TimeSpan.FromSeconds(1),
            TimeSpan.FromMilliseconds(100),
            TimeSpan.FromMinutes(1),
            "How often the counters are fetched from the kernel.")),
        new(
            reader.Choice("Identity:Source", IdentityChoice.Auto, "Who says which pod an interface belongs to."),
            reader.Duration(
                "Identity:Wait",
                TimeSpan.FromSeconds(30),
                TimeSpan.Zero,
                TimeSpan.FromHours(1),
                "How long traffic of an interface is held until its pod is known; then it is counted as unattributed.")),
        new(reader.Duration(
            "Metrics:Retention",
            TimeSpan.FromMinutes(2),
            TimeSpan.Zero,
            TimeSpan.FromDays(1),
            "How long a pod's series stay after its last interface is gone, so that the last scrape sees the final totals.")),
        new(reader.Number(
            "Bpf:MaxInterfaces",
            1024,
            1,
            65536,
            "How many interfaces can have traffic between two drains; each takes about 1 KiB of kernel memory for every CPU.")));
}

internal sealed record ServerOptions(IReadOnlyList<string> Urls);

/// <param name="Include">Null: every name.</param>
/// <param name="Exclude">Null: no name.</param>
internal sealed record AttachOptions(HookChoice Hook, Regex? Include, Regex? Exclude, ushort Priority, TimeSpan CheckInterval);

internal sealed record DrainOptions(TimeSpan Interval);

internal sealed record IdentityOptions(IdentityChoice Source, TimeSpan Wait);

internal sealed record MetricsOptions(TimeSpan Retention);

internal sealed record BpfOptions(int MaxInterfaces);

internal enum HookChoice
{
    Auto,
    Tcx,
    Clsact,
}

internal enum IdentityChoice
{
    Auto,
    Standalone,
}
