namespace Exporter.Metrics;

/// <summary>Labels that families of pods and the exporter's own families share.</summary>
internal static class SharedLabels
{
    internal const string TransmitDirection = "transmit";
    internal const string ReceiveDirection = "receive";
    internal const string Client = "client";
    internal const string Server = "server";

    internal static readonly MetricLabel Direction = new("direction", TransmitDirection, ReceiveDirection);
    internal static readonly MetricLabel Role = new("role", Client, Server);
}
