using System.Text.RegularExpressions;
using Exporter.Options;

namespace Exporter.Interfaces;

/// <summary>Options of the interfaces that programs are attached to, and of the way.</summary>
/// <param name="Include">Null: every name.</param>
/// <param name="Exclude">Null: no name.</param>
internal sealed record AttachOptions(TcAttachOption Hook, Regex? Include, Regex? Exclude, ushort Priority, TimeSpan CoverageInterval)
{
    internal static AttachOptions Read(OptionReader reader) => new(
        reader.Choice("Attach:Hook", TcAttachOption.Auto, "How to attach programs: auto is tcx where the kernel has it, else clsact."),
        reader.Pattern("Attach:Include", "Count only interfaces whose name matches this regular expression; empty: all pod interfaces.", isLive: true, isInPlace: true),
        reader.Pattern("Attach:Exclude", "Do not count interfaces whose name matches this regular expression; empty: none is excluded.", isLive: true, isInPlace: true),
        (ushort)reader.Number("Attach:Priority", 10, 1, 0xfff0, "The TC priority of clsact filters; lower runs earlier."),
        reader.Duration(
            "Attach:CoverageInterval",
            TimeSpan.FromSeconds(15),
            TimeSpan.FromSeconds(1),
            TimeSpan.FromHours(1),
            "Interval of comparing counts with the interfaces' own counters, which finds programs that were removed or are bypassed.",
            isLive: true,
            previous: "Attach:CheckInterval",
            isInPlace: true));
}
