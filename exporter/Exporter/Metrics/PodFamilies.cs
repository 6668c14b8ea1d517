namespace Exporter.Metrics;

/// <summary>Labels of the pods' families that the exporter's own families have too.</summary>
internal static class PodFamilies
{
    internal const string TransmitDirection = "transmit";
    internal const string ReceiveDirection = "receive";
    internal const string Client = "client";
    internal const string Server = "server";

    internal static readonly MetricLabel Direction = new("direction", TransmitDirection, ReceiveDirection);
    internal static readonly MetricLabel Role = new("role", Client, Server);
}
