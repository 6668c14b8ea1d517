using Prometheus;

namespace Exporter.Metrics;

/// <summary>As the exposition calls them.</summary>
internal enum MetricType
{
    Counter,
    Gauge,
    Histogram,

    /// <summary>Without quantiles: a sum and a count.</summary>
    Summary,
}

/// <summary>A label of a family.</summary>
/// <param name="Values">All that it can have; empty where these are not known beforehand.</param>
internal sealed record MetricLabel(string Name, params IReadOnlyList<string> Values);

/// <summary>A family: what it is made of, and what the documentation says of it.</summary>
/// <param name="Unit">The unit of its values.</param>
/// <param name="Help">One sentence, for the exposition.</param>
/// <param name="Labels">Its own labels; a pod's labels come before them.</param>
internal sealed record MetricDefinition(MetricType Type, string Name, string Unit, string Help, params IReadOnlyList<MetricLabel> Labels)
{
    /// <summary>The upper bounds of a histogram, without the infinite one.</summary>
    internal IReadOnlyList<double> Bounds { get; init; } = [];

    /// <summary>Details for the documentation.</summary>
    internal string? Details { get; init; }

    /// <summary>An example in PromQL, which asks what the family is there for.</summary>
    internal required string Query { get; init; }

    /// <summary>
    /// The most sample lines that there can be, of one pod where it is a family of pods. Each value of each label has one, a histogram one for
    /// each bucket, for the infinite one, for the sum and for the count, a summary one for the sum and one for the count.
    /// </summary>
    internal int Lines => Labels.Aggregate(Type switch { MetricType.Histogram => Bounds.Count + 3, MetricType.Summary => 2, _ => 1 }, (lines, label) => lines * label.Values.Count);

    internal Counter CreateCounter(IMetricFactory metrics) => metrics.CreateCounter(Name, Help, LabelNames);

    internal Gauge CreateGauge(IMetricFactory metrics) => metrics.CreateGauge(Name, Help, LabelNames);

    internal Histogram CreateHistogram(IMetricFactory metrics) => metrics.CreateHistogram(Name, Help, LabelNames, new HistogramConfiguration { Buckets = [.. Bounds] });

    private string[] LabelNames => [.. Labels.Select(label => label.Name)];
}
