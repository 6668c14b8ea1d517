namespace Exporter.Records;

/// <summary>
/// The tuple of a flow from the pod's view, or the part of it that the flows of a group have in common; its other parts are none and 0.
/// </summary>
/// <param name="LocalPort">Of ICMP, the type or the code, as the flow map has it.</param>
/// <param name="RemotePort">As <paramref name="LocalPort"/>.</param>
internal readonly record struct FlowTuple(byte Protocol, FlowAddress Local, ushort LocalPort, FlowAddress Remote, ushort RemotePort);
