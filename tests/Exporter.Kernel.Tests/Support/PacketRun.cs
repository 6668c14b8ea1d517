namespace Exporter.Kernel.Tests.Support;

/// <summary>How a random packet is given to the programs of a pod's interface.</summary>
internal readonly record struct PacketRun(bool IsTransmit, SkbContext Context);
