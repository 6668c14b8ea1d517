using System.IO.Pipelines;

namespace Exporter.Server;

/// <summary>A connection's transport that calls back before each write to the client.</summary>
internal sealed class AnswerNotice(IDuplexPipe transport, Action answering) : PipeWriter, IDuplexPipe
{
    public PipeReader Input => transport.Input;

    public PipeWriter Output => this;

    public override bool CanGetUnflushedBytes => transport.Output.CanGetUnflushedBytes;

    public override long UnflushedBytes => transport.Output.UnflushedBytes;

    public override void Advance(int bytes) => transport.Output.Advance(bytes);

    public override Memory<byte> GetMemory(int sizeHint = 0) => transport.Output.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => transport.Output.GetSpan(sizeHint);

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        answering();
        return transport.Output.FlushAsync(cancellationToken);
    }

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        answering();
        return transport.Output.WriteAsync(source, cancellationToken);
    }

    public override void CancelPendingFlush() => transport.Output.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => transport.Output.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => transport.Output.CompleteAsync(exception);
}
