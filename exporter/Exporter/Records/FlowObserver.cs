namespace Exporter.Records;

/// <summary>The end of a flow whose interface was counted.</summary>
internal enum FlowObserver : byte
{
    Source,
    Destination,
}
