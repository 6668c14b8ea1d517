using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Metrics;
using Exporter.Options;

// The types of bpf/xdp/uplink.h.
namespace Exporter.Signals.Uplinks;

/// <summary>struct uplink_count.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct UplinkCount(ulong Packets, ulong Bytes);

/// <summary>UPLINK_CLASSES counts, indexed by <see cref="UplinkClass"/>.</summary>
[InlineArray(13)]
internal struct UplinkClasses
{
    private UplinkCount _first;
}

/// <summary>UPLINK_SIZES ranges: one for each of <see cref="UplinkValue.SizeBounds"/> and one above.</summary>
[InlineArray(8)]
internal struct UplinkSizes
{
    private UplinkCount _first;
}

/// <summary>struct uplink_value: the frames of one direction.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UplinkValue
{
    public UplinkClasses Classes;
    public UplinkSizes Sizes;

    /// <summary>UPLINK_SIZE_BOUNDS: upper bounds of lengths in bytes, inclusive; the last range has none.</summary>
    public static ReadOnlySpan<int> SizeBounds => [64, 128, 256, 512, 1024, 1518, 9018];

    /// <summary>The names of the classes, as labels have them.</summary>
    public static IReadOnlyList<string> ClassNames { get; } = [.. Enum.GetValues<UplinkClass>().Select(one => EnumText.Lower(one).Replace('-', '_'))];

    /// <summary>The counters by names that stay the same whatever is added to the structure.</summary>
    public static RowFields Fields { get; } = new("uplink_value",
    [
        .. from name in ClassNames from unit in (string[])["packets", "bytes"] select $"{name}.{unit}",
        .. from bound in (IEnumerable<string>)[.. SizeBounds.ToArray().Select(bound => bound.ToString(System.Globalization.CultureInfo.InvariantCulture)), "larger"]
           from unit in (string[])["packets", "bytes"]
           select $"{bound}.{unit}",
    ]);
}

/// <summary>A row of the signal: both directions of an interface, and what it has dropped by its own counters.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UplinkRow
{
    public UplinkValue Receive;
    public UplinkValue Transmit;
    public LinkDrops Dropped;

    /// <summary>Reasons of drops, in the order of <see cref="LinkDrops"/>.</summary>
    public static IReadOnlyList<string> DropReasons { get; } = ["missed", "no_buffer", "errors", "no_handler", "backlog"];

    public static RowFields Fields { get; } = new("uplinks",
    [
        .. from direction in (string[])[SharedLabels.ReceiveDirection, SharedLabels.TransmitDirection] from field in UplinkValue.Fields.Names select $"{direction}.{field}",
        .. from reason in DropReasons select $"dropped.{reason}",
    ]);
}

/// <summary>UPLINK_NAME_LEN bytes, ended by zeros.</summary>
[InlineArray(16)]
internal struct UplinkName
{
    private byte _first;
}

/// <summary>struct uplink_identity.</summary>
/// <param name="permanentAddress">As <see cref="NodeLink.PermanentAddress"/>.</param>
[StructLayout(LayoutKind.Sequential)]
internal struct UplinkIdentity(string name, ulong permanentAddress)
{
    public readonly UplinkName Name = NameOf(name);
    public readonly ulong PermanentAddress = permanentAddress;

    /// <summary>The name as text.</summary>
    public readonly string Text
    {
        get
        {
            ReadOnlySpan<byte> bytes = Name;
            return Encoding.UTF8.GetString(bytes[..Math.Max(0, bytes.IndexOf((byte)0))]);
        }
    }

    private static UplinkName NameOf(string text)
    {
        UplinkName name = default;
        Encoding.UTF8.TryGetBytes(text, ((Span<byte>)name)[..^1], out _);
        return name;
    }
}

/// <summary>UPLINK_SLOTS numbers.</summary>
[InlineArray(UplinkSlots.Count)]
internal struct UplinkNumbers
{
    private uint _first;
}

/// <summary>UPLINK_SLOTS identities.</summary>
[InlineArray(UplinkSlots.Count)]
internal struct UplinkIdentities
{
    private UplinkIdentity _first;
}

/// <summary>struct uplink_slots: which interface is counted where.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UplinkSlots
{
    /// <summary>UPLINK_SLOTS: interfaces that can be counted at once.</summary>
    public const int Count = 8;

    /// <summary>0: the slot is free.</summary>
    public UplinkNumbers Ifindex;

    /// <summary>1: XDP counts received frames; 0: TC does.</summary>
    public UplinkNumbers ByXdp;

    public UplinkIdentities Identity;
}
