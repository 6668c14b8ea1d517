using Exporter.Verification;
using static Exporter.Verification.RecordField;

namespace Exporter.Commands;

/// <summary>The other end of a flow, as seen from the pod whose interface was counted. A rest record has none.</summary>
/// <param name="Names">The best name first: pod, workload or Service with its namespace, then address and class.</param>
internal readonly record struct FlowsPeer(IReadOnlyList<string> Names)
{
    /// <summary>Null: nothing is known of it.</summary>
    internal string? Best => Names.Count > 0 ? Names[0] : null;

    internal static FlowsPeer Of(RecordReader record)
    {
        if (record.Dataset != Dataset.Flow)
        {
            return new([]);
        }
        var (space, pod, workload, service, ip, nat, kind) = record.IsPodSource
            ? (DestinationNamespace, DestinationPod, DestinationWorkload, DestinationService, DestinationIp, DestinationNatIp, DestinationClass)
            : (SourceNamespace, SourcePod, SourceWorkload, SourceService, SourceIp, SourceNatIp, SourceClass);
        var beginning = record.Text(space) is { } name ? name + "/" : "";
        return new(
        [
            .. new[] { pod, workload, service }.Select(record.Text).OfType<string>().Select(text => beginning + text),
            .. new[] { ip, nat, kind }.Select(record.Text).OfType<string>(),
        ]);
    }
}
