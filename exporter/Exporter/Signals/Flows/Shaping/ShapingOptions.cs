using System.Globalization;
using Exporter.Bpf;
using Exporter.Options;
using Exporter.Peers;
using Exporter.Records;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>Which flows get records, and what these have. All options apply with the next interval.</summary>
/// <param name="MinBytes">Of a record, both ends together.</param>
/// <param name="PrefixV4">In bits.</param>
/// <param name="PrefixV6">In bits.</param>
/// <param name="MaxRecordsPerSecond">Flow records of the node.</param>
/// <param name="Fields">Paths; empty: all.</param>
internal sealed record ShapingOptions(
    FlowCriteria Include,
    FlowCriteria Exclude,
    long MinBytes,
    FlowAggregation Aggregate,
    AddressPolicy Addresses,
    int PrefixV4,
    int PrefixV6,
    int MaxRecordsPerSecond,
    IReadOnlyList<string> Fields)
{
    /// <summary>The classes of addresses: ids of groups, and filters, are of these too.</summary>
    internal PeerClasses Classes { get; init; } = PeerClasses.BuiltIn;

    /// <summary>The kernel counts one in so many flows: each stands for as many.</summary>
    internal int Sampling { get; init; } = 1;

    /// <summary>Of everything that decides what records have.</summary>
    internal ulong Digest => Fnv1a.Of(string.Create(
        CultureInfo.InvariantCulture,
        $"{RecordFields.Schema}|{Classes.Text}|{Include.Text}|{Exclude.Text}|{MinBytes}|{Aggregate}|{Addresses}|{PrefixV4}|{PrefixV6}|{MaxRecordsPerSecond}|{string.Join(';', Fields)}{(Sampling == 1 ? "" : $"|1/{Sampling}")}"));

    internal static ShapingOptions Read(OptionReader reader, PeerClasses classes) => new(
        FlowCriteria.Read(reader, "Flows:Include", "have records; with several lists a flow has to match each of them, and an empty list matches every flow", classes),
        FlowCriteria.Read(reader, "Flows:Exclude", "have no record; their traffic is in rest records", classes),
        reader.Size(
            "Flows:MinBytes", 0, 0, 1L << 40, "Least bytes of a flow record, of both ends together in an interval; the traffic of smaller ones is in rest records.", isLive: true),
        reader.Choice(
            "Flows:Aggregate",
            FlowAggregation.Connection,
            "Which flows are one record: connection has one for each pair of addresses and ports, service-port one for all ports of a source, workload one for all flows between two pods, "
                + "Services or classes, without addresses and ports; none has no flow records, and all traffic is in rest records.",
            isLive: true),
        reader.Choice(
            "Flows:Addresses",
            AddressPolicy.Full,
            "Which part of addresses records have: full, prefix (Flows:PrefixV4 and Flows:PrefixV6) or none. Records have no Community ID and no translated addresses unless it is full, "
                + "there are no identity records, and ids and keys of records are made with a secret of the node.",
            isLive: true),
        reader.Number("Flows:PrefixV4", 24, 0, 32, "Bits of IPv4 addresses that records have with Flows:Addresses=prefix.", isLive: true),
        reader.Number("Flows:PrefixV6", 48, 0, 128, "Bits of IPv6 addresses that records have with Flows:Addresses=prefix.", isLive: true),
        reader.Number(
            "Flows:MaxRecordsPerSecond",
            10_000,
            1,
            1_000_000,
            "Most flow records a second. Beyond that pods share them equally: a pod within its share has all its records; of a pod above it, failed connections are folded together, and of the other "
                + "flows a sample is recorded, with its probability, by their bytes.",
            isLive: true),
        reader.List(
            "Flows:Fields",
            "",
            "paths of fields, or of objects of them",
            "Optional fields that records have beside the required ones, like source.k8s;flow.state; empty: all.",
            OptionReader.TextOrArray("""{"type": "string"}""", """{"type": "array", "uniqueItems": true, "items": {"type": "string"}}"""),
            ParseFields,
            isLive: true))
    {
        Classes = classes,
    };

    /// <summary>The fields that records are written with.</summary>
    internal IReadOnlyList<RecordField> ChooseFields() => Fields.Count == 0 ? RecordFields.All : RecordFields.Choose(Fields);

    private static IReadOnlyList<string> ParseFields(IReadOnlyList<string> paths)
    {
        _ = RecordFields.Choose(paths);
        return paths;
    }
}
