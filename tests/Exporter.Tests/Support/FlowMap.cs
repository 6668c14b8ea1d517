using System.Buffers.Binary;
using Exporter.Bpf;
using Exporter.Signals.Flows;

namespace Exporter.Tests.Support;

/// <summary>The map of flows between two swaps, as bpf/tc/count_flow.h fills it. Times are seconds since <see cref="Epoch"/>.</summary>
internal sealed class FlowMap
{
    internal static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private const int Rate = 100;

    /// <summary>Stamps wrap after two seconds.</summary>
    private const uint FirstTick = uint.MaxValue - (2 * Rate);

    private readonly Dictionary<FlowKey, FlowValue> _rows = [];

    internal DrainedRow<FlowKey, FlowValue>[] Rows => [.. _rows.Select(row => new DrainedRow<FlowKey, FlowValue>(row.Key, row.Value))];

    internal static DateTimeOffset TimeOf(double at) => Epoch + TimeSpan.FromSeconds(at);

    internal static FlowClock ClockOf(double at) => new(TimeOf(at), TickOf(at), Rate);

    internal static FlowKey KeyOf(byte protocol, ushort localPort, ushort remotePort, int ifindex = 7)
    {
        var key = new FlowKey
        {
            Ifindex = ifindex,
            LocalPort = BinaryPrimitives.ReverseEndianness(localPort),
            RemotePort = BinaryPrimitives.ReverseEndianness(remotePort),
            Family = FlowKey.Ipv4,
            Protocol = protocol,
        };
        ((byte[])[10, 0, 0, 14]).CopyTo((Span<byte>)key.Local);
        ((byte[])[10, 0, 0, 15]).CopyTo((Span<byte>)key.Remote);
        return key;
    }

    /// <summary>Counts a packet.</summary>
    /// <param name="flags">Letters of FSRPA; empty: none, as UDP.</param>
    /// <param name="retransmits">Of the life of the pod's socket; null: it is not read of this packet.</param>
    internal void Count(in FlowKey key, bool isFromPod, double at, string flags = "", uint seq = 0, uint? retransmits = null)
    {
        if (!_rows.TryGetValue(key, out var value))
        {
            value.Origin = (byte)(isFromPod ? 0 : 1);
        }
        if (retransmits is { } read)
        {
            (value.Retransmits, value.HasSocket) = (read, 1);
        }
        ref var half = ref isFromPod ? ref value.Transmit : ref value.Receive;
        (half.Packets, half.Bytes, half.Segments) = (half.Packets + 1, half.Bytes + 100, half.Segments + 1);
        (half.First, half.Last) = (half.First == 0 ? TickOf(at) : half.First, TickOf(at));
        if (flags.Contains('S', StringComparison.Ordinal))
        {
            half.Syns++;
            if (!flags.Contains('A', StringComparison.Ordinal) && (half.Connections == 0 || half.InitialSeq != seq))
            {
                Age(ref value.Transmit);
                Age(ref value.Receive);
                (half.InitialSeq, half.Connections) = (seq, half.Connections + 1);
            }
        }
        half.Resets += flags.Contains('R', StringComparison.Ordinal) ? 1u : 0;
        foreach (var flag in flags)
        {
            half.Flags["FSRPA".IndexOf(flag, StringComparison.Ordinal)] = 1;
        }
        _rows[key] = value;
    }

    internal void Clear() => _rows.Clear();

    private static uint TickOf(double at) => unchecked(FirstTick + (uint)(long)Math.Round(at * Rate)) is var tick && tick == 0 ? 1 : tick;

    private static void Age(ref FlowHalf half)
    {
        for (var i = 0; i < 8; i++)
        {
            half.Flags[i] = (byte)(half.Flags[i] == 0 ? 0 : 2);
        }
    }
}
