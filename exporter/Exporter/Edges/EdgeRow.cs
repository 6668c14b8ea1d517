using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Metrics;

namespace Exporter.Edges;

/// <summary>Counts of an edge, from its pods' view. <see cref="RowFields.RowOf"/> makes a row of it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct EdgeRow
{
    /// <summary>Bytes, Ethernet headers included, as the pods' interfaces count them.</summary>
    public ulong TransmitBytes;
    public ulong TransmitPackets;
    public ulong ReceiveBytes;
    public ulong ReceivePackets;

    /// <summary>Connections that the pods began.</summary>
    public ulong ClientConnections;

    /// <summary>Connections that the peer began.</summary>
    public ulong ServerConnections;

    /// <summary>The sum of smoothed round-trip times, in nanoseconds.</summary>
    public ulong RttSum;

    /// <summary>How many round-trip times the sum has.</summary>
    public ulong RttCount;

    /// <summary>The counters by names that stay the same from one version to the next.</summary>
    public static RowFields Fields { get; } = new("edges",
    [
        NameOf(SharedLabels.TransmitDirection, "bytes"), NameOf(SharedLabels.TransmitDirection, "packets"),
        NameOf(SharedLabels.ReceiveDirection, "bytes"), NameOf(SharedLabels.ReceiveDirection, "packets"),
        NameOf("connections", SharedLabels.Client), NameOf("connections", SharedLabels.Server),
        "rtt.ns", "rtt.count",
    ]);

    /// <summary>The number of a field.</summary>
    internal static int FieldOf(string group, string name) => Fields.IndexOf(NameOf(group, name));

    /// <summary>The bytes of both directions.</summary>
    internal static ulong BytesOf(ReadOnlySpan<ulong> row) => RowFields.ValueOf<EdgeRow>(row).TransmitBytes + RowFields.ValueOf<EdgeRow>(row).ReceiveBytes;

    private static string NameOf(string group, string name) => $"{group}.{name}";
}
