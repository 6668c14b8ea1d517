using System.Text.Json.Serialization;
using Exporter.Metrics;

namespace Exporter.Signals.Uplinks;

/// <summary>The document /api/v1/uplinks.</summary>
/// <param name="WithoutSlot">Interfaces that are meant and not counted, since as many as can be are.</param>
/// <param name="WithoutEthernet">Interfaces that are meant and not counted, for their packets have no Ethernet header.</param>
internal sealed record UplinksDocument(DateTimeOffset Time, IReadOnlyList<UplinkEntry> Uplinks, IReadOnlyList<string> WithoutSlot, IReadOnlyList<string> WithoutEthernet)
{
    /// <param name="attaching">Null: no session counts.</param>
    internal static UplinkEntry EntryOf(Uplink uplink, UplinkAttaching? attaching)
    {
        var row = new ulong[UplinkRow.Fields.Count];
        uplink.Account?.Read(UplinkRow.Fields, row);
        return new()
        {
            Name = uplink.Link.Name,
            Ifindex = uplink.Link.Ifindex,
            State = uplink.LeftAt is not null ? "gone" : attaching?.StateOf(uplink) ?? UplinkMetrics.Failed,
            Hook = attaching?.NameOf(uplink),
            Problem = uplink.Problem,
            Since = uplink.Since,
            Driver = UplinkAttaching.DriverOf(uplink.Link),
            Mtu = uplink.Link.Mtu,
            Receive = ClassesOf(row, SharedLabels.ReceiveDirection),
            Transmit = ClassesOf(row, SharedLabels.TransmitDirection),
            Dropped = UplinkRow.DropReasons.ToDictionary(reason => reason, reason => row[UplinkRow.Fields.IndexOf($"dropped.{reason}")]),
        };
    }

    private static Dictionary<string, UplinkCount> ClassesOf(ulong[] row, string direction) => UplinkValue.ClassNames.ToDictionary(
        name => name, name => new UplinkCount(row[UplinkColumns.FieldOf(direction, name, "packets")], row[UplinkColumns.FieldOf(direction, name, "bytes")]));
}

/// <summary>An interface that is counted.</summary>
internal sealed record UplinkEntry
{
    public required string Name { get; init; }

    public required int Ifindex { get; init; }

    /// <summary>counted, fallback, failed or gone.</summary>
    public required string State { get; init; }

    /// <summary>How received frames are counted: tcx, clsact, xdp or xdp-generic; null: they are not.</summary>
    public required string? Hook { get; init; }

    /// <summary>Why it is not counted as Uplinks:Hook wants; null: it is.</summary>
    public required string? Problem { get; init; }

    public required DateTimeOffset Since { get; init; }

    public required string Driver { get; init; }

    public required int Mtu { get; init; }

    /// <summary>By class, as committed.</summary>
    public required IReadOnlyDictionary<string, UplinkCount> Receive { get; init; }

    public required IReadOnlyDictionary<string, UplinkCount> Transmit { get; init; }

    /// <summary>By reason.</summary>
    public required IReadOnlyDictionary<string, ulong> Dropped { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(UplinksDocument))]
internal sealed partial class UplinksDocumentContext : JsonSerializerContext;
