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
    private readonly StdoutSink.OutputEnd _end = new();
    private readonly StdoutSink _sink;

    public StdoutSinkTests() => _sink = new(_pipe.ClientSafePipeHandle, _end);

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

    /// <summary>The grace of a session ends within a line, and the next session writes to the same output.</summary>
    [Fact]
    public async Task A_line_that_is_cut_does_not_spoil_the_next_sink_s_first_line_and_is_written_once_more_when_its_own_continues()
    {
        _lines.Fill(200, padding: 1000);
        var batch = _lines[0].TryRead()!;
        using var end = new CancellationTokenSource();
        var write = _sink.WriteAsync(batch, end.Token).AsTask();
        var begun = new byte[1000];
        await _pipe.ReadExactlyAsync(begun, TestContext.Current.CancellationToken);
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
        using var reader = new StreamReader(_pipe, Encoding.UTF8);
        var read = reader.ReadToEndAsync(TestContext.Current.CancellationToken);

        var next = new ExportedLines(new FakeTimeProvider(), 16, ExportRing.BlockBytes, ("stdout", default));
        next.Begin();
        Assert.Equal(3, next.Append(3, LineKind.Rest));
        next.End();
        await next.WriteAllAsync(new StdoutSink(_pipe.ClientSafePipeHandle, _end));
        await _sink.WriteAsync(batch, TestContext.Current.CancellationToken);
        _pipe.DisposeLocalCopyOfClientHandle();

        // No multiple of what is written at once is the end of a line.
        var lines = (Encoding.UTF8.GetString(begun) + await read).Split('\n')[..^1];
        Assert.Equal(["Rest 0 ", "Rest 1 ", "Rest 2 ", "end 1 stdout 3 24 3 3 0"], lines.Where(line => !line.StartsWith("Flow", StringComparison.Ordinal)));
        var whole = lines.Where(line => line.StartsWith("Flow", StringComparison.Ordinal) && line.Length > 1000).ToList();
        Assert.Equal(Enumerable.Range(0, 200), whole.Select(ExportedLines.NumberOf).OfType<int>());
        Assert.Equal(200 + 1 + 4, lines.Length);
    }

    [Fact]
    public async Task A_closed_reader_is_a_failure_that_says_what_to_do()
    {
        _lines.Fill(1);
        var client = _pipe.ClientSafePipeHandle;
        using var copy = new Microsoft.Win32.SafeHandles.SafeFileHandle(client.DangerousGetHandle(), ownsHandle: false);
        var sink = new StdoutSink(copy, _end);
        _pipe.SafePipeHandle.Dispose();
        var batch = _lines[0].TryRead()!;

        for (var i = 0; i < 2; i++)
        {
            var failure = await Assert.ThrowsAsync<SinkException>(() => sink.WriteAsync(batch, TestContext.Current.CancellationToken).AsTask());
            Assert.StartsWith("standard output is closed; restart", failure.Message, StringComparison.Ordinal);
        }
    }
}
