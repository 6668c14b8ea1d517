using System.Globalization;
using System.Text;
using Prometheus;

namespace Exporter.Tests.Support;

/// <summary>What a scrape returned: the samples by their name and labels, as the text has them.</summary>
internal sealed class Exposition
{
    private readonly Dictionary<string, double> _samples = [];

    private Exposition(string text)
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

    internal static async Task<Exposition> OfAsync(CollectorRegistry registry)
    {
        using var text = new MemoryStream();
        await registry.CollectAndExportAsTextAsync(text);
        return new(Encoding.UTF8.GetString(text.ToArray()));
    }

    internal bool Has(string sample) => _samples.ContainsKey(sample);

    /// <summary>A pod's counter.</summary>
    internal double Of(string family, PodLabels pod, string transport) => this[Name(family, pod, transport)];

    internal bool Has(string family, PodLabels pod, string transport) => Has(Name(family, pod, transport));

    /// <summary>Samples of the pods' families.</summary>
    internal int CountPodSamples() => _samples.Keys.Count(sample =>
        sample.StartsWith("podnet_transmit_", StringComparison.Ordinal)
        || sample.StartsWith("podnet_receive_", StringComparison.Ordinal)
        || sample.StartsWith("podnet_packet_", StringComparison.Ordinal));

    internal int CountSamplesOf(PodLabels pod) => _samples.Keys.Count(sample => sample.Contains(pod.ToString(), StringComparison.Ordinal));

    private static string Name(string family, PodLabels pod, string transport) => $"{family}{{{pod},transport=\"{transport}\"}}";
}

/// <summary>A pod as the samples name it.</summary>
internal readonly record struct PodLabels(string Namespace, string Name)
{
    public override string ToString() => $"namespace=\"{Namespace}\",pod=\"{Name}\"";
}
