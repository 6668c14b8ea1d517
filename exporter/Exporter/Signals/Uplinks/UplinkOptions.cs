using System.IO.Enumeration;
using Exporter.Bpf.Netlink;
using Exporter.Options;

namespace Exporter.Signals.Uplinks;

/// <summary>Which of the node's own interfaces are counted, and by what.</summary>
/// <param name="Names">Names, names with * and ?, and <see cref="Auto"/>; empty: none.</param>
internal sealed record UplinkOptions(IReadOnlyList<string> Names, UplinkHook Hook)
{
    /// <summary>The interfaces of the default routes.</summary>
    internal const string Auto = "auto";

    /// <summary>IFNAMSIZ, less the terminating null.</summary>
    private const int MaxName = 15;

    internal bool IsOn => Names.Count > 0;

    internal bool IsAuto => Names.Contains(Auto);

    internal static UplinkOptions Read(OptionReader reader) => new(
        reader.List(
            "Uplinks:Interfaces",
            "",
            "names of interfaces, with * and ?, and auto",
            "The node's own interfaces whose frames are counted by class, of bonds and teams their slaves; auto: the interfaces of the default routes; empty: none. At most 8 at once.",
            OptionReader.TextOrArray("""{"type": "string"}""", """{"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 15, "pattern": "^[^/;\\s]+$"}}"""),
            Parse,
            isLive: true),
        reader.Choice(
            "Uplinks:Hook",
            UplinkHook.Tcx,
            "How frames that arrive are counted: tcx by TC, as Attach:Hook says; xdp before the stack in the driver, which other programs cannot use then; xdp-generic the same in the stack.",
            isLive: true));

    /// <summary>Whether one of the names means this interface. The loopback has to be named in full.</summary>
    internal bool IsNamed(NodeLink link) => Names.Any(name =>
        name != Auto && (link.IsLoopback ? name == link.Name : FileSystemName.MatchesSimpleExpression(name, link.Name, ignoreCase: false)));

    private static IReadOnlyList<string> Parse(IReadOnlyList<string> parts) =>
        parts.FirstOrDefault(name => name.Length > MaxName || name.Any(letter => letter == '/' || char.IsWhiteSpace(letter) || char.IsControl(letter))) is { } wrong
            ? throw new FormatException($"has '{wrong}', which no interface can be called; a name has at most {MaxName} characters, none of them / or a space")
            : [.. parts.Distinct()];
}
