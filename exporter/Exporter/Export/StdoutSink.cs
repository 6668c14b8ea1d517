using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Bpf.Native;
using Microsoft.Win32.SafeHandles;

namespace Exporter.Export;

/// <summary>Writes lines to standard output, as fast as its reader reads.</summary>
/// <param name="output">The caller's.</param>
internal sealed class StdoutSink(SafeHandle output) : IRecordSink
{
    internal const string SinkName = "stdout";

    /// <summary>How long a reader that reads nothing delays an end.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    /// <summary>The batch that is written, and how many of its bytes are.</summary>
    private (ulong Batch, int Bytes) _done;

    public string Name => SinkName;

    internal static StdoutSink Open() => new(new SafeFileHandle(1, ownsHandle: false));

    /// <summary>Writes on a thread of its own for the while: a reader may keep it waiting.</summary>
    public ValueTask WriteAsync(RecordBatch batch, CancellationToken cancellationToken) => new(Task.Run(() => Write(batch, cancellationToken), CancellationToken.None));

    private void Write(RecordBatch batch, CancellationToken cancellationToken)
    {
        _done = _done.Batch == batch.Number ? _done : (batch.Number, 0);
        var lines = batch.Lines.Span;
        while (_done.Bytes < lines.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!RawOutput.WaitUntilWritable(output, Look))
            {
                continue;
            }
            _done.Bytes += RawOutput.Write(output, lines.Slice(_done.Bytes, Math.Min(lines.Length - _done.Bytes, RawOutput.AtomicBytes)), out var errno);
            if (errno == 0)
            {
                continue;
            }
            if (errno == Errno.EPIPE)
            {
                // Another reader begins with a whole line.
                _done.Bytes = lines[.._done.Bytes].LastIndexOf((byte)'\n') + 1;
                throw new SinkException("standard output is closed; restart the process with a reader of its output, or remove stdout from Export:Sinks");
            }
            throw new SinkException($"standard output cannot be written ({Errno.Describe(errno)}); make it writable, or remove stdout from Export:Sinks");
        }
    }
}
