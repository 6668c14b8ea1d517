using System.Globalization;
using Exporter.Verification;

namespace Exporter.Commands;

/// <summary>The result of <c>flows verify</c>: sums by interface, totals, notes, and OK or the problems.</summary>
internal static class FlowsVerifyText
{
    private static readonly string[] Header = ["NODE", "NAMESPACE", "POD", "INTERFACE", "PART", "TX-BYTES", "TX-PACKETS", "RX-BYTES", "RX-PACKETS"];

    /// <summary>The first columns are text, the others numbers.</summary>
    private const int TextColumns = 5;

    /// <param name="comparison">Null: there are no counters to compare with.</param>
    internal static void Write(VerificationResult result, CounterComparison? comparison, TextWriter output)
    {
        WriteTable([Header, .. RowsOf(result)], output);
        var totals = result.Totals;
        output.WriteLine();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{totals.Lines} lines: {totals.Flows} flow, {totals.Rest} rest, {totals.Intervals} interval and {totals.Identities} identity records of {totals.Nodes} nodes, {totals.Repeats} repeats, {totals.BadLines} bad lines; {totals.Lost} records lost"));
        if (comparison is not null)
        {
            output.WriteLine($"{comparison.Pods} pods compared with their counters");
        }
        Write("note: ", comparison is null ? [result.Notes] : [result.Notes, comparison.Notes], output);
        var problems = comparison is null ? result.Problems : [.. result.Problems, comparison.Problems];
        if (problems.All(findings => findings.Count == 0))
        {
            output.WriteLine("OK");
            return;
        }
        Write("problem: ", problems, output);
    }

    private static void Write(string beginning, IReadOnlyList<Findings> findings, TextWriter output)
    {
        foreach (var kind in findings)
        {
            foreach (var text in kind.Texts)
            {
                output.WriteLine(beginning + text);
            }
            if (kind.Count > kind.Texts.Count)
            {
                output.WriteLine($"{beginning}{kind.Count - kind.Texts.Count} more like these");
            }
        }
    }

    private static IEnumerable<string[]> RowsOf(VerificationResult result)
    {
        var total = default(PodCounts);
        foreach (var (key, sums) in result.Sums.OrderBy(row => (row.Key.Node, row.Key.Namespace, row.Key.Pod, row.Key.Interface, row.Key.InterfaceId)))
        {
            string[] names = [key.Node, key.Namespace ?? "-", key.Pod ?? "-", key.Interface];
            yield return [.. names, "flows", .. Numbers(sums.Flows)];
            foreach (var (reason, counts) in sums.Rest)
            {
                yield return [.. names, $"rest {reason}", .. Numbers(counts)];
            }
            yield return [.. names, "total", .. Numbers(sums.Total)];
            total += sums.Total;
        }
        yield return ["all", "", "", "", "total", .. Numbers(total)];
    }

    private static string[] Numbers(PodCounts counts) =>
        [.. new[] { counts.TransmitBytes, counts.TransmitPackets, counts.ReceiveBytes, counts.ReceivePackets }.Select(number => number.ToString(CultureInfo.InvariantCulture))];

    private static void WriteTable(IReadOnlyList<string[]> rows, TextWriter output)
    {
        int[] widths = [.. Enumerable.Range(0, Header.Length).Select(column => rows.Max(row => row[column].Length))];
        foreach (var row in rows)
        {
            output.WriteLine(string.Join("  ", row.Select((cell, column) => column < TextColumns ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]))).TrimEnd());
        }
    }
}
