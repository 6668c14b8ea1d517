using System.Runtime.InteropServices;
using Exporter.Bpf;

namespace Exporter.Kernel.Tests.SocketStates;

/// <summary>struct socket_states_key.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct SocketStatesKey(ulong Netns);

/// <summary>struct socket_states_value.</summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct SocketStatesValue(ulong Changes, ulong LargestPort, ulong SmallestPort, ulong LastState, ulong States)
{
    internal static RowFields Fields { get; } = new("socket_states", ["changes", "largest_port", "smallest_port", "last_state", "states"], new Dictionary<string, FieldKind>
    {
        ["largest_port"] = FieldKind.Maximum,
        ["smallest_port"] = FieldKind.Minimum,
        ["last_state"] = FieldKind.Last,
        ["states"] = FieldKind.Bits,
    });
}
