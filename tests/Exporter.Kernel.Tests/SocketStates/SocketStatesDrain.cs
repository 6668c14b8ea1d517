using Exporter.Signals;

namespace Exporter.Kernel.Tests.SocketStates;

/// <summary>A drain by network namespace that releases its rows late.</summary>
internal sealed class SocketStatesDrain(IRowSource<SocketStatesKey, SocketStatesValue> rows, SessionContext context)
    : SignalDrain<SocketStatesKey, SocketStatesValue, ulong>(
        SocketStatesValue.Fields, rows, new NamespaceRows<SocketStatesKey>(context.Pods, static key => key.Netns), context)
{
    internal override bool ReleasesLate => true;
}
