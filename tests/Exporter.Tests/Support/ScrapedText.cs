using System.Globalization;
using System.Text;
using Prometheus;

namespace Exporter.Tests.Support;

/// <summary>What a scrape returned: the samples by their name and labels, as the text has them.</summary>
internal sealed class ScrapedText
{
    private const string HandshakeFamilies = "podnet_tcp_handshake_";

    private readonly Dictionary<string, double> _samples = [];

    private ScrapedText(string text)
    {
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#'))
        {
            var space = line.LastIndexOf(' ');
            _samples.Add(line[..space], double.Parse(line[(space + 1)..], CultureInfo.InvariantCulture));
        }
    }

    internal IReadOnlyCollection<string> Samples => _samples.Keys;

    /// <summary>The value of a sample that has to be there.</summary>
    internal double this[string sample] =>
        _samples.TryGetValue(sample, out var value) ? value : throw new KeyNotFoundException($"{sample} is not among:\n{string.Join('\n', _samples.Keys)}");

    internal static async Task<ScrapedText> OfAsync(CollectorRegistry registry) => new(await WriteAsync(registry));

    internal static async Task<string> WriteAsync(CollectorRegistry registry)
    {
        using var text = new MemoryStream();
        await registry.CollectAndExportAsTextAsync(text);
        return Encoding.UTF8.GetString(text.ToArray());
    }

    /// <summary>Of all signals.</summary>
    internal double DrainErrors => _samples.Where(sample => sample.Key.StartsWith("podnet_exporter_drain_errors_total{", StringComparison.Ordinal)).Sum(sample => sample.Value);

    internal static ScrapedText Parse(string text) => new(text);

    internal bool Has(string sample) => _samples.ContainsKey(sample);

    /// <summary>The values of a sample's labels as they were before they were escaped (the exposition format, "Text format details").</summary>
    internal static IReadOnlyList<string> LabelValuesOf(string sample)
    {
        var (values, value, isQuoted) = (new List<string>(), new StringBuilder(), false);
        for (var i = 0; i < sample.Length; i++)
        {
            if (sample[i] == '"')
            {
                if (isQuoted)
                {
                    values.Add(value.ToString());
                    value.Clear();
                }
                isQuoted = !isQuoted;
            }
            else if (isQuoted)
            {
                value.Append(sample[i] != '\\' ? sample[i] : sample[++i] == 'n' ? '\n' : sample[i]);
            }
        }
        return values;
    }

    /// <summary>A pod's counter.</summary>
    internal double Of(string family, PodName pod, string transport) => this[Name(family, pod, transport)];

    internal bool Has(string family, PodName pod, string transport) => Has(Name(family, pod, transport));

    /// <summary>Samples of the pods' families.</summary>
    internal int CountPodSamples() => _samples.Keys.Count(sample =>
        sample.StartsWith("podnet_transmit_", StringComparison.Ordinal)
        || sample.StartsWith("podnet_receive_", StringComparison.Ordinal)
        || sample.StartsWith("podnet_packet_", StringComparison.Ordinal)
        || sample.StartsWith(HandshakeFamilies, StringComparison.Ordinal));

    internal int CountHandshakeSamples() => _samples.Keys.Count(sample => sample.StartsWith(HandshakeFamilies, StringComparison.Ordinal));

    /// <summary>Durations of a pod's handshakes: the part is count, sum or, with a bound, bucket.</summary>
    internal double Durations(string part, PodName pod, string role, string? bound = null) =>
        this[$"{HandshakeFamilies}duration_seconds_{part}{{{pod},role=\"{role}\"{(bound is null ? "" : $",le=\"{bound}\"")}}}"];

    /// <summary>The buckets of a pod's handshakes by their bounds in seconds, ascending.</summary>
    internal (double Bound, double Handshakes)[] DurationBuckets(PodName pod, string role)
    {
        var beginning = $"{HandshakeFamilies}duration_seconds_bucket{{{pod},role=\"{role}\",le=\"";
        return
        [
            .. _samples.Where(sample => sample.Key.StartsWith(beginning, StringComparison.Ordinal))
                .Select(sample => (sample.Key[beginning.Length..^2] is "+Inf" ? double.PositiveInfinity : double.Parse(sample.Key[beginning.Length..^2], CultureInfo.InvariantCulture), sample.Value))
                .OrderBy(bucket => bucket.Item1),
        ];
    }

    internal double Failures(PodName pod, string role, string reason) => this[FailuresOf(pod, role, reason)];

    internal bool HasFailures(PodName pod, string role, string reason) => Has(FailuresOf(pod, role, reason));

    internal double Retransmits(PodName pod, string role) => this[$"{HandshakeFamilies}retransmits_total{{{pod},role=\"{role}\"}}"];

    internal double UnattributedHandshakes(string role) => this[$"podnet_exporter_unattributed_handshakes_total{{role=\"{role}\"}}"];

    internal double LostHandshakes(string reason) => this[$"podnet_exporter_lost_handshakes_total{{reason=\"{reason}\"}}"];

    internal int CountSamplesOf(PodName pod) => _samples.Keys.Count(sample => sample.Contains(pod.ToString(), StringComparison.Ordinal));

    private static string FailuresOf(PodName pod, string role, string reason) =>
        $"{HandshakeFamilies}failures_total{{{pod},role=\"{role}\",reason=\"{reason}\"}}";

    private static string Name(string family, PodName pod, string transport) => $"{family}{{{pod},transport=\"{transport}\"}}";
}

/// <summary>A pod as the samples name it.</summary>
internal readonly record struct PodName(string Namespace, string Name)
{
    public override string ToString() => $"namespace=\"{Namespace}\",pod=\"{Name}\"";
}
