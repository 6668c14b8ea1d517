using System.Runtime.InteropServices;
using System.Text;
using Exporter.Bpf;
using Exporter.Bpf.Native;
using Microsoft.Win32.SafeHandles;

namespace Exporter.Commands;

/// <summary>Writes to a pipe, a terminal or a file, and says when its reader has gone, which the console's own stream does not.</summary>
/// <param name="output">The caller's.</param>
internal sealed class OutputStream(SafeHandle output) : UnseekableStream
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    public override bool CanWrite => true;

    /// <summary>A writer to standard output. It is flushed by its user, and need not be disposed of.</summary>
    internal static StreamWriter OpenStandard() => new(new OutputStream(new SafeFileHandle(1, ownsHandle: false)), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));

    /// <exception cref="OutputException">It cannot be written.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var written = RawOutput.Write(output, buffer, out var errno);
            if (errno != 0)
            {
                throw new OutputException($"The output cannot be written: {Errno.Describe(errno)}", isClosed: errno == Errno.EPIPE);
            }
            if (written == 0)
            {
                RawOutput.WaitUntilWritable(output, Look);
            }
            buffer = buffer[written..];
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
}
