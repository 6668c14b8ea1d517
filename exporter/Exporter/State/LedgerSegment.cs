namespace Exporter.State;

/// <summary>A stretch of a ledger's memory.</summary>
internal abstract class LedgerSegment : IDisposable
{
    internal abstract Span<byte> Bytes { get; }

    public abstract void Dispose();
}
