using System.IO.Pipes;
using System.Text;
using Exporter.Export;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

public sealed class StdoutSinkTests : IDisposable
{
    private readonly AnonymousPipeServerStream _pipe = new(PipeDirection.In);
    private readonly ExportedLines _lines = new(new FakeTimeProvider(), 16, ExportRing.BlockBytes, ("stdout", default));
    private readonly StdoutSink _sink;

    public StdoutSinkTests() => _sink = new(_pipe.ClientSafePipeHandle);

    public void Dispose() => _pipe.Dispose();

    /// <summary>A pipe holds 64 KiB.</summary>
    [Fact]
    public async Task A_batch_is_written_as_fast_as_it_is_read()
    {
        _lines.Fill(200, padding: 1000);
        var batch = _lines[0].TryRead()!;
        var expected = Encoding.UTF8.GetString(batch.Lines.Span);

        var write = _sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask();
        var read = new byte[expected.Length];
        await _pipe.ReadExactlyAsync(read.AsMemory(0, 1000), TestContext.Current.CancellationToken);
        Assert.False(write.IsCompleted);
        await _pipe.ReadExactlyAsync(read.AsMemory(1000), TestContext.Current.CancellationToken);
        await write;

        Assert.Equal(expected, Encoding.UTF8.GetString(read));
    }

    [Fact]
    public async Task A_write_that_nothing_reads_ends_when_it_is_cancelled_and_continues_where_it_was()
    {
        _lines.Fill(200, padding: 1000);
        var batch = _lines[0].TryRead()!;
        var expected = Encoding.UTF8.GetString(batch.Lines.Span);
        using var end = new CancellationTokenSource();

        var write = _sink.WriteAsync(batch, end.Token).AsTask();
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
        write = _sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask();
        var read = new byte[expected.Length];
        await _pipe.ReadExactlyAsync(read, TestContext.Current.CancellationToken);
        await write;

        Assert.Equal(expected, Encoding.UTF8.GetString(read));
    }

    [Fact]
    public async Task A_closed_reader_is_a_failure_that_says_what_to_do()
    {
        _lines.Fill(1);
        var client = _pipe.ClientSafePipeHandle;
        using var copy = new Microsoft.Win32.SafeHandles.SafeFileHandle(client.DangerousGetHandle(), ownsHandle: false);
        var sink = new StdoutSink(copy);
        _pipe.SafePipeHandle.Dispose();
        var batch = _lines[0].TryRead()!;

        for (var i = 0; i < 2; i++)
        {
            var failure = await Assert.ThrowsAsync<SinkException>(() => sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask());
            Assert.StartsWith("standard output is closed; restart", failure.Message, StringComparison.Ordinal);
        }
    }
}
