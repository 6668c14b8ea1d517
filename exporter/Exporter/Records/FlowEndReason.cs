namespace Exporter.Records;

/// <summary>Why a flow has ended.</summary>
internal enum FlowEndReason : byte
{
    Fin,
    Reset,

    /// <summary>60 s without a packet.</summary>
    Idle,
}
