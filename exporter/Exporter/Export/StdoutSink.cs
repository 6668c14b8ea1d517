using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.Bpf.Native;
using Microsoft.Win32.SafeHandles;

namespace Exporter.Export;

/// <summary>Writes lines to standard output, as fast as its reader reads.</summary>
/// <param name="output">The caller's.</param>
/// <param name="end">How the output ends, which all sinks that write to it share.</param>
internal sealed class StdoutSink(SafeHandle output, StdoutSink.OutputEnd end) : IRecordSink
{
    internal const string SinkName = "stdout";

    private static readonly OutputEnd EndOfStdout = new();

    /// <summary>How long a reader that reads nothing delays an end.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    /// <summary>The batch that is written, and how many of its bytes are.</summary>
    private (ulong Batch, int Bytes) _done;

    public string Name => SinkName;

    internal static StdoutSink Open() => new(new SafeFileHandle(1, ownsHandle: false), EndOfStdout);

    /// <summary>Writes on a thread of its own for the while: a reader may keep it waiting.</summary>
    public ValueTask WriteAsync(RecordBatch batch, CancellationToken cancellationToken) => new(Task.Run(() => Write(batch, cancellationToken), CancellationToken.None));

    private void Write(RecordBatch batch, CancellationToken cancellationToken)
    {
        // The sink of the session before may be within its last write still.
        lock (end)
        {
            if (end.Unfinished is not null && end.Unfinished != this)
            {
                // The line of a session that has ended stays cut, and is not to spoil the next one.
                Put("\n"u8, cancellationToken);
                end.Unfinished = null;
            }
            var lines = batch.Lines.Span;
            // A line that was cut continues where it was, unless it was ended meanwhile, or the output has another reader: then it is written once more.
            _done = _done.Batch != batch.Number ? (batch.Number, 0) : end.Unfinished is null ? (batch.Number, lines[.._done.Bytes].LastIndexOf((byte)'\n') + 1) : _done;
            while (_done.Bytes < lines.Length)
            {
                _done.Bytes += Put(lines.Slice(_done.Bytes, Math.Min(lines.Length - _done.Bytes, RawOutput.AtomicBytes)), cancellationToken);
                end.Unfinished = lines[_done.Bytes - 1] == (byte)'\n' ? null : this;
            }
        }
    }

    /// <summary>Waits until some bytes are written. Returns how many.</summary>
    private int Put(ReadOnlySpan<byte> bytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!RawOutput.WaitUntilWritable(output, Look))
            {
                continue;
            }
            var written = RawOutput.Write(output, bytes, out var errno);
            if (written > 0)
            {
                return written;
            }
            if (errno == Errno.EPIPE)
            {
                // Another reader begins with a whole line.
                end.Unfinished = null;
                throw new SinkException("standard output is closed; restart the process with a reader of its output, or remove stdout from Export:Sinks");
            }
            if (errno != 0)
            {
                throw new SinkException($"standard output cannot be written ({Errno.Describe(errno)}); make it writable, or remove stdout from Export:Sinks");
            }
        }
    }

    /// <summary>How an output ends now. Locked by the sink that writes.</summary>
    internal sealed class OutputEnd
    {
        /// <summary>The sink whose line is cut; null: the last line is whole.</summary>
        internal StdoutSink? Unfinished { get; set; }
    }
}
