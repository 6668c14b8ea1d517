using System.Globalization;
using System.Net;
using System.Text;

namespace Exporter.Server;

/// <summary>The page for browsers: links, and a table of pods.</summary>
internal static class LandingPage
{
    /// <param name="document">Null: the exporter does not count.</param>
    internal static string Write(PodsDocument? document)
    {
        var rows = new StringBuilder();
        foreach (var pod in document?.Pods ?? [])
        {
            var remark = pod.Excluded ? "excluded" : pod.HostNetwork ? "in the host's network" : pod.Interfaces.Count == 0 ? "no interface" : pod.Folded.Count > 0 ? $"under __other__: {string.Join(", ", pod.Folded)}" : "";
            Row(rows, pod.Namespace, pod.Pod, pod.Interfaces, remark);
        }
        foreach (var unknown in document?.Unknown ?? [])
        {
            Row(rows, "", "", [unknown], "not known yet");
        }
        return $"""
            <!doctype html>
            <html lang="en">
            <head><meta charset="utf-8"><title>podnet-exporter</title>
            <style>body {"{"} font-family: sans-serif {"}"} td, th {"{"} padding: 0.2em 0.8em; text-align: left {"}"} td.number {"{"} text-align: right {"}"}</style></head>
            <body>
            <h1>podnet-exporter</h1>
            <p>Network traffic of this node's pods. Version {Encode(ProductVersion.Text)}.</p>
            <ul>
            <li><a href="metrics">/metrics</a>: for Prometheus</li>
            <li><a href="api/v1/pods">/api/v1/pods</a>: the table below as JSON</li>
            <li><a href="api/v1/uplinks">/api/v1/uplinks</a>: the node's own interfaces that are counted, and how</li>
            <li><a href="api/v1/bpf">/api/v1/bpf</a>: the BPF programs, and refused replacements</li>
            <li><a href="healthz">/healthz</a>: whether all loops are running</li>
            <li><a href="readyz">/readyz</a>: whether interfaces and pods have been listed</li>
            </ul>
            <h2>Pods</h2>
            <p>{(document is null ? "This exporter counts nothing now; its metrics show the reason." : $"Known from {Encode(document.Source)}, counted by {Encode(document.Hook)} since each interface was found.")}</p>
            <table>
            <tr><th>namespace</th><th>pod</th><th>interface</th><th>addresses</th><th>transmitted</th><th>received</th><th>since</th><th></th></tr>
            {rows}</table>
            </body>
            </html>

            """;
    }

    private static void Row(StringBuilder rows, string ns, string pod, IReadOnlyList<InterfaceEntry> interfaces, string remark)
    {
        rows.Append("<tr>");
        Cell(rows, ns);
        Cell(rows, pod);
        Cell(rows, string.Join(", ", interfaces.Select(found => found.State == "attached" ? found.Name : $"{found.Name} ({found.State})")));
        Cell(rows, string.Join(", ", interfaces.SelectMany(found => found.Addresses).Distinct()));
        Cell(rows, Bytes(interfaces, found => found.Transmit), "number");
        Cell(rows, Bytes(interfaces, found => found.Receive), "number");
        Cell(rows, interfaces.Count == 0 ? "" : interfaces.Min(found => found.Since).ToString("u", CultureInfo.InvariantCulture));
        Cell(rows, remark);
        rows.Append("</tr>\n");
    }

    private static void Cell(StringBuilder rows, string text, string? cssClass = null) =>
        rows.Append(cssClass is null ? "<td>" : $"<td class=\"{cssClass}\">").Append(Encode(text)).Append("</td>");

    private static string Bytes(IReadOnlyList<InterfaceEntry> interfaces, Func<InterfaceEntry, CountEntry> direction) => interfaces.Count == 0
        ? ""
        : string.Create(CultureInfo.InvariantCulture, $"{interfaces.Aggregate(0ul, (sum, found) => sum + direction(found).Bytes):N0} bytes");

    private static string Encode(string text) => WebUtility.HtmlEncode(text);
}
