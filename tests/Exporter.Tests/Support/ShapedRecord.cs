using Exporter.Records;
using Exporter.Signals.Flows;
using EventId = Exporter.Records.EventId;

namespace Exporter.Tests.Support;

/// <summary>A flow record after it was shaped.</summary>
/// <param name="Probability">1 where the record has none.</param>
/// <param name="Line">As it is written.</param>
internal sealed record ShapedRecord(
    EventId Id, long Generation, FlowCount Local, FlowCount Remote, double Probability, ulong Connections, (ulong Ports, ulong Hosts, ulong Sources) Distinct, string Line)
{
    internal ulong Bytes => Local.Bytes + Remote.Bytes;

    internal bool IsFolded => Distinct != (0, 0, 0);

    internal static ShapedRecord Of(FlowRecord record, string line)
    {
        var (local, remote) = record.Observer == FlowObserver.Source ? (record.Source, record.Destination) : (record.Destination, record.Source);
        return new(
            record.Id,
            record.Generation,
            new(local.Packets, local.Bytes),
            new(remote.Packets, remote.Bytes),
            record.SamplingProbability ?? 1,
            record.Connections,
            (record.DistinctPorts, record.DistinctHosts, record.DistinctSources),
            line);
    }
}
