using System.Text;

namespace Exporter.Verification;

/// <summary>The counters of pods in a scrape: the sums over all series of a pod.</summary>
internal sealed class PodCounters
{
    /// <summary>How the exporter's families begin, also in the lines about them.</summary>
    private static readonly string[] OfExporter = ["podnet_", "# HELP podnet_", "# TYPE podnet_"];

    private static readonly (string Name, Func<UInt128, PodCounts> Count)[] Families =
    [
        ("podnet_transmit_bytes_total", value => new(value, 0, 0, 0)),
        ("podnet_transmit_packets_total", value => new(0, value, 0, 0)),
        ("podnet_receive_bytes_total", value => new(0, 0, value, 0)),
        ("podnet_receive_packets_total", value => new(0, 0, 0, value)),
    ];

    private readonly Dictionary<(string Namespace, string Pod), PodCounts> _pods = [];

    /// <summary>No counter of any pod.</summary>
    internal static PodCounters None { get; } = new();

    internal IReadOnlyDictionary<(string Namespace, string Pod), PodCounts> Pods => _pods;

    /// <summary>The series that stand for no single pod: their labels, and their sums.</summary>
    internal SortedDictionary<string, PodCounts> NotComparable { get; } = new(StringComparer.Ordinal);

    /// <summary>The label value of folded series.</summary>
    internal const string Other = "__other__";

    /// <exception cref="FormatException">It is not a scrape of an exporter; the message begins with the line.</exception>
    internal static async Task<PodCounters> ReadAsync(Stream text, CancellationToken cancellationToken)
    {
        var counters = new PodCounters();
        var lines = new LineReader(text);
        var isExporter = false;
        while (await lines.ReadAsync(cancellationToken))
        {
            var line = Encoding.UTF8.GetString(lines.Line.Span);
            isExporter |= OfExporter.Any(beginning => line.StartsWith(beginning, StringComparison.Ordinal));
            foreach (var (name, count) in Families)
            {
                if (line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] is '{' or ' ')
                {
                    counters.Add(line, name.Length, count, lines.Number);
                }
            }
        }
        return isExporter ? counters : throw new FormatException("has no family of podnet-exporter: give its /metrics, or a saved scrape of it");
    }

    private void Add(string line, int name, Func<UInt128, PodCounts> count, long number)
    {
        try
        {
            var (space, pod, value) = CounterSeries.Parse(line.AsSpan(name));
            // Reserved values begin like this: __other__ and __host__.
            if (space is null || pod is null || pod.StartsWith("__", StringComparison.Ordinal))
            {
                var label = pod is null ? "series without the label pod" : space is null ? "series without the label namespace" : $"series of pod=\"{pod}\"";
                NotComparable[label] = NotComparable.GetValueOrDefault(label) + count(value);
            }
            else
            {
                _pods[(space, pod)] = _pods.GetValueOrDefault((space, pod)) + count(value);
            }
        }
        catch (FormatException e)
        {
            throw new FormatException(FormattableString.Invariant($"line {number} {e.Message}"), e);
        }
    }
}
