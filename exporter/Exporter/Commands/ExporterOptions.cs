using Exporter.Accounts;
using Exporter.Discovery;
using Exporter.Handshakes;
using Exporter.Kubernetes;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Server;
using Exporter.State;
using Exporter.Traffic;

namespace Exporter.Commands;

/// <summary>Everything that can be set, read and checked at the start, and when a file of options changes. docs/options.md describes each.</summary>
internal sealed record ExporterOptions(
    ServerOptions Server,
    AttachOptions Attach,
    DrainOptions Drain,
    HandshakeOptions Handshake,
    IdentityOptions Identity,
    KubernetesOptions Kubernetes,
    MetricsOptions Metrics,
    BpfOptions Bpf)
{
    /// <summary>How pods are labelled with these options.</summary>
    internal PodLabels CreateLabels() => new(Metrics.Labels, Metrics.Levels, Kubernetes.NodeOrHost);

    /// <summary>Which columns of all signals there are, and how the budget is divided.</summary>
    internal SeriesPlan CreatePlan() => SeriesPlan.Create(Metrics, AllSignals.CreateColumns(this));

    /// <summary>Reads every option; what is wrong is noted in the reader, and stands as its default in the result.</summary>
    internal static ExporterOptions Read(OptionReader reader)
    {
        OptionFiles.Describe(reader);
        var options = new ExporterOptions(
            ServerOptions.Read(reader),
            AttachOptions.Read(reader),
            DrainOptions.Read(reader),
            HandshakeOptions.Read(reader),
            IdentityOptions.Read(reader),
            KubernetesOptions.Read(reader),
            MetricsOptions.Read(reader),
            BpfOptions.Read(reader));
        var plan = options.CreatePlan();
        reader.Require(
            plan.FixedLines <= options.Metrics.MaxSeries,
            "Metrics:MaxSeries",
            $"is less than the {plan.FixedLines} sample lines that have to be set aside for the host and for what is folded; raise it, or count less per pod");
        return options;
    }
}
