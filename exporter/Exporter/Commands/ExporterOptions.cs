using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Edges;
using Exporter.Interfaces;
using Exporter.Kubernetes;
using Exporter.Options;
using Exporter.Peers;
using Exporter.Pods;
using Exporter.Server;
using Exporter.Server.Security;
using Exporter.Signals;
using Exporter.State;

namespace Exporter.Commands;

/// <summary>Everything that can be set, read and checked at the start, and when a file of options changes. docs/options.md describes each.</summary>
internal sealed record ExporterOptions(
    ServerOptions Server,
    AttachOptions Attach,
    DrainOptions Drain,
    IdentityOptions Identity,
    KubernetesOptions Kubernetes,
    MetricsOptions Metrics,
    BpfOptions Bpf,
    IReadOnlyList<Signal> Signals)
{
    /// <summary>How pods are labelled with these options.</summary>
    internal PodLabels CreateLabels() => new(Metrics.Labels, CreatePlan().Levels.Select(level => level.Level).Append(Metrics.Aggregation).Distinct().Order(), Kubernetes.NodeOrHost);

    /// <summary>Makes the plan of series: the columns of all signals, and how the budget is divided.</summary>
    internal SeriesPlan CreatePlan() => SeriesPlan.Create(Metrics, [.. Signals.Select(signal => signal.Columns)]) with { Beside = Edges.LinesOf(Metrics.MaxSeries) };

    /// <summary>The options of edges.</summary>
    internal EdgeOptions Edges => Signals.Select(signal => signal.Edges).FirstOrDefault(edges => edges is not null) ?? new(EdgeLevel.Off, MaxSeries: 0);

    /// <summary>The classes of addresses that signals name peers by; null: none does.</summary>
    internal PeerClasses? PeerClasses => Signals.Select(signal => signal.PeerClasses).FirstOrDefault(classes => classes is not null);

    /// <summary>The maps that the signals have in the object whose programs see each packet.</summary>
    internal IReadOnlyList<MapSetPlan> PlanPacketMaps() => [.. Signals.Select(signal => signal.PlanPacketMaps(Bpf)).OfType<MapSetPlan>()];

    /// <summary>All options there are, whatever is set.</summary>
    internal static IReadOnlyList<OptionDescription> Describe()
    {
        var reader = new OptionReader(new ConfigurationBuilder().Build());
        _ = Read(reader);
        return reader.Options;
    }

    /// <summary>Reads every option; an option that is wrong is noted in the reader, and has its default in the result.</summary>
    /// <param name="signals">Reads the options of each signal; null: of <see cref="AllSignals"/>.</param>
    internal static ExporterOptions Read(OptionReader reader, IReadOnlyList<SignalReader>? signals = null)
    {
        OptionFiles.Describe(reader);
        // In the order of the documentation.
        var server = ServerOptions.Read(reader);
        ServerCertificate.Check(server, reader);
        AccessControl.Check(server, reader);
        var attach = AttachOptions.Read(reader);
        var drain = DrainOptions.Read(reader);
        var identity = IdentityOptions.Read(reader);
        var kubernetes = KubernetesOptions.Read(reader);
        var metrics = MetricsOptions.Read(reader);
        IReadOnlyList<Signal> read = [.. (signals ?? AllSignals.Readers).Select(signal => signal(reader, metrics))];
        var options = new ExporterOptions(server, attach, drain, identity, kubernetes, metrics, BpfOptions.Read(reader), read);
        var plan = options.CreatePlan();
        reader.Require(
            plan.FixedLines <= options.Metrics.MaxSeries,
            "Metrics:MaxSeries",
            $"is less than the {plan.FixedLines} sample lines that have to be set aside for the host and for folded blocks; raise it, or count less per pod");
        return options;
    }
}
