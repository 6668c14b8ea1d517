using System.Threading.Channels;
using Exporter.Export;

namespace Exporter.Tests.Support;

/// <summary>A sink that does as a test says, and keeps the lines that it has taken.</summary>
internal sealed class ScriptedSink(string name) : IRecordSink, IDisposable
{
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();
    private readonly Channel<ulong> _calls = Channel.CreateUnbounded<ulong>();

    public string Name => name;

    internal bool IsDisposed { get; private set; }

    /// <summary>Called for each batch before it is taken.</summary>
    internal Func<RecordBatch, CancellationToken, Task> Before { get; set; } = static (_, _) => Task.CompletedTask;

    public void Dispose() => IsDisposed = true;

    public async ValueTask WriteAsync(RecordBatch batch, CancellationToken cancellationToken)
    {
        _calls.Writer.TryWrite(batch.Number);
        await Before(batch, cancellationToken);
        foreach (var line in ExportedLines.LinesOf(batch))
        {
            _lines.Writer.TryWrite(line);
        }
    }

    /// <summary>The next line that it takes, or has taken.</summary>
    internal Task<string> NextLineAsync() => _lines.Reader.ReadAsync().AsTask().WaitAsync(Silence.Limit);

    /// <summary>The next batch that it is handed, or has been handed.</summary>
    internal Task<ulong> NextCallAsync() => _calls.Reader.ReadAsync().AsTask().WaitAsync(Silence.Limit);

    internal async Task<string[]> NextLinesAsync(int count)
    {
        var lines = new string[count];
        for (var i = 0; i < count; i++)
        {
            lines[i] = await NextLineAsync();
        }
        return lines;
    }
}
