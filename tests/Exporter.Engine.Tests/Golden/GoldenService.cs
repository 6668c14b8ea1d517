using Exporter.Records;

namespace Exporter.Engine.Tests.Golden;

/// <summary>A Service of one port.</summary>
internal sealed class GoldenService(string space, string name, string address, ushort port)
{
    internal FlowAddress Address { get; } = FlowAddress.Parse(address);

    internal ushort Port { get; } = port;

    internal RecordEnd Names { get; } = new() { Namespace = space, Service = name, Class = "service" };
}
