namespace Exporter.Records;

/// <summary>The part of records that all of a node's interval have in common.</summary>
/// <param name="Interval">The number of the interval.</param>
/// <param name="Timestamp">The time of the reading: the @timestamp of each record but of identities.</param>
/// <param name="Start">When the interval began.</param>
/// <param name="End">When the interval ended.</param>
/// <param name="Addresses">With a policy other than full no Community ID and no address behind a translation is written.</param>
internal sealed record RecordContext(
    RecordObserver Observer, long Interval, DateTimeOffset Timestamp, DateTimeOffset Start, DateTimeOffset End, AddressPolicy Addresses = AddressPolicy.Full);
