using System.Globalization;

namespace Exporter.Benchmarks;

/// <summary>Prints rows as docs/performance.md has them.</summary>
internal static class Table
{
    internal static void Begin(string title) => Console.WriteLine($"""

        ### {title}
        | what | measured | bar | |
        |--|--|--|--|
        """);

    /// <param name="unit">May start with a blank.</param>
    internal static void Row(string what, double measured, string unit, double? most = null, double? least = null)
    {
        var bar = most is not null ? $"at most {Number(most.Value)}{unit}" : least is not null ? $"at least {Number(least.Value)}{unit}" : "";
        var verdict = bar.Length == 0 ? "" : (most is null || measured <= most) && (least is null || measured >= least) ? "met" : "**missed**";
        Console.WriteLine($"| {what} | {Number(measured)}{unit} | {bar} | {verdict} |");
    }

    internal static double Median(IEnumerable<double> values) => Percentile(values, 50);

    internal static double Percentile(IEnumerable<double> values, int percent)
    {
        var sorted = values.Order().ToList();
        return sorted[Math.Min(sorted.Count - 1, sorted.Count * percent / 100)];
    }

    private static string Number(double value) => value.ToString(Math.Abs(value) >= 100 ? "F0" : "0.##", CultureInfo.InvariantCulture);
}
