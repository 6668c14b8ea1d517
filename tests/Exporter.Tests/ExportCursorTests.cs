using Exporter.Export;
using Exporter.Health;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;
using Prometheus;

namespace Exporter.Tests;

public sealed class ExportCursorTests : IAsyncDisposable
{
    private readonly PausingClock _time = new();
    private readonly LoopHealth _health;
    private readonly ExportedLines _lines;
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly RecordingLogger<ExportCursor> _logger = new();
    private readonly ScriptedSink _a = new("a");
    private readonly ScriptedSink _b = new("b");
    private readonly List<ExportCursor> _cursors = [];

    public ExportCursorTests() => (_health, _lines) = (new(_time), new(_time));

    public async ValueTask DisposeAsync()
    {
        foreach (var cursor in _cursors)
        {
            var end = cursor.StopAsync(TestContext.Current.CancellationToken);
            while (!end.IsCompleted)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                await Task.Yield();
            }
            cursor.Dispose();
        }
    }

    [Fact]
    public async Task A_sink_gets_the_lines_of_an_interval_and_then_its_closing_record()
    {
        await StartAsync();
        _lines.Fill(2);

        Assert.Equal(["Flow 0 ", "Flow 1 ", "end 1 a 2 16 2 2 0"], await _a.NextLinesAsync(3));
        Assert.Equal(["Flow 0 ", "Flow 1 ", "end 1 b 2 16 2 2 0"], await _b.NextLinesAsync(3));
    }

    [Fact]
    public async Task A_sink_that_blocks_holds_up_neither_another_sink_nor_the_producer()
    {
        _a.Before = static (_, cancelled) => Task.Delay(Timeout.Infinite, cancelled);
        await StartAsync();

        var read = 0;
        for (var i = 0; i < 40; i++)
        {
            _lines.Begin();
            while (_lines.Append(1, padding: 2000) == 0)
            {
                Assert.True(_lines.Ring.DropOldest());
            }
            _lines.End();
            read += (await _b.NextLinesAsync(2)).Count(line => ExportedLines.NumberOf(line) == i);
        }

        Assert.Equal(40, read);
        Assert.Equal(8 * ExportedLines.BlockBytes, _lines.Ring.Memory);
        Assert.Equal((0, 0), (_lines[1].Counts.Lost, _lines[0].Counts.Acknowledged));
        Assert.InRange(_lines[0].Counts.Backpressure, 40 - (2 * 8), 39);
        Assert.Equal(40, _lines[0].Counts.Lost + _lines[0].Counts.UnderWay);
    }

    [Fact]
    public async Task A_batch_is_written_again_until_it_is_taken_and_the_reason_is_logged_once()
    {
        var failures = 3;
        _a.Before = (_, _) => failures-- > 0 ? throw new SinkException("the disk is full; free some") : Task.CompletedTask;
        await StartAsync();
        _lines.Fill(2);

        for (var i = 0; i < 3; i++)
        {
            var pause = await _time.NextPauseAsync();
            Assert.InRange(pause.TotalSeconds, 0.25 * Math.Pow(2, i), 0.5 * Math.Pow(2, i));
            Assert.Equal(0, _lines[0].Counts.Acknowledged);
            _time.Advance(pause);
        }

        Assert.Equal(["Flow 0 ", "Flow 1 ", "end 1 a 2 16 2 2 0"], await _a.NextLinesAsync(3));
        Assert.Equal(1, _logger.CountOf("The sink a takes no records: the disk is full; free some."));
        await _b.NextLinesAsync(3);
        await StopAsync();
        Assert.Equal(1, _logger.CountOf("The sink a takes records again"));
        var metrics = await ScrapedText.WriteAsync(_registry);
        Assert.Contains("podnet_exporter_sink_retried_records_total{sink=\"a\"} 6\n", metrics, StringComparison.Ordinal);
        Assert.Contains("podnet_exporter_sink_acknowledged_records_total{sink=\"a\"} 3\n", metrics, StringComparison.Ordinal);
        Assert.Contains("podnet_exporter_sink_retried_records_total{sink=\"b\"} 0\n", metrics, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_sink_that_throws_what_it_should_not_is_tried_again_like_one_that_is_away(bool isAtOnce)
    {
        var failures = 2;
        _a.Before = async (_, _) =>
        {
            if (!isAtOnce)
            {
                await Task.Yield();
            }
            if (failures-- > 0)
            {
                throw failures == 1 ? new InvalidOperationException("not as thought") : new OperationCanceledException();
            }
        };
        await StartAsync();
        _lines.Fill(2);

        for (var i = 0; i < 2; i++)
        {
            _time.Advance(await _time.NextPauseAsync());
        }

        Assert.Equal(["Flow 0 ", "Flow 1 ", "end 1 a 2 16 2 2 0"], await _a.NextLinesAsync(3));
        Assert.Equal(1, _logger.CountOf("The sink a failed by a fault of the exporter (InvalidOperationException: not as thought). "));
        await _b.NextLinesAsync(3);
        await StopAsync();
        Assert.Contains("podnet_exporter_sink_retried_records_total{sink=\"a\"} 4\n", await ScrapedText.WriteAsync(_registry), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_write_that_lasts_is_shown_and_logged_and_the_loop_is_healthy()
    {
        var taken = new TaskCompletionSource();
        _a.Before = (_, _) => taken.Task;
        await StartAsync();
        _lines.Fill(1);
        await _a.NextCallAsync();

        while (_logger.CountOf("The sink a takes no records: a write has lasted for 10 s") == 0)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        Assert.Contains("podnet_exporter_sink_up{sink=\"a\"} 0\n", await ScrapedText.WriteAsync(_registry), StringComparison.Ordinal);
        Assert.Contains("podnet_exporter_sink_up{sink=\"b\"} 1\n", await ScrapedText.WriteAsync(_registry), StringComparison.Ordinal);
        // The clock is far ahead of a loop that has not had its turn yet.
        while (_health.Stuck().Count > 0)
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }

        taken.SetResult();
        await _a.NextLinesAsync(2);
        Assert.Contains("podnet_exporter_sink_up{sink=\"a\"} 1\n", await ScrapedText.WriteAsync(_registry), StringComparison.Ordinal);
    }

    [Fact]
    public async Task At_the_end_a_sink_gets_what_is_left()
    {
        var isOpen = new TaskCompletionSource();
        _a.Before = (_, _) => isOpen.Task;
        await StartAsync();
        _lines.Fill(1);
        await _a.NextCallAsync();
        _lines.Fill(1);

        var end = StopAsync();
        isOpen.SetResult();
        await end;

        Assert.Equal(["Flow 0 ", "end 1 a 1 8 2 1 0", "Flow 1 ", "end 2 a 1 8 2 2 0"], await _a.NextLinesAsync(4));
        Assert.Equal(0, _lines[0].Counts.UnderWay);
        Assert.Equal(2ul, _lines[0].SettledInterval);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Empty(_health.Stuck());
    }

    [Fact]
    public async Task A_sink_that_does_not_end_delays_the_end_by_the_grace_period_alone()
    {
        _a.Before = static (_, _) => new TaskCompletionSource().Task;
        await StartAsync();
        _lines.Fill(3);
        await _a.NextCallAsync();
        await _b.NextLinesAsync(4);

        var end = StopAsync();
        _time.Advance(ExportCursor.DefaultGrace - TimeSpan.FromMilliseconds(1));
        Assert.False(end.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await end.WaitAsync(Silence.Limit, TestContext.Current.CancellationToken);

        Assert.Equal(1, _logger.CountOf("The sink a has not taken 3 records in the time to end"));
        Assert.Equal(3, _lines[0].Counts.UnderWay);
    }

    [Fact]
    public async Task A_sink_is_disposed_when_it_has_ended_the_write_that_it_was_in()
    {
        var write = new TaskCompletionSource();
        _a.Before = (_, _) => write.Task;
        await StartAsync();
        _lines.Fill(1);
        await _a.NextCallAsync();
        await _b.NextLinesAsync(2);
        var end = StopAsync();
        _time.Advance(ExportCursor.DefaultGrace);
        await end.WaitAsync(Silence.Limit, TestContext.Current.CancellationToken);

        var (a, b) = (_cursors[0].ReleaseSinkAsync(), _cursors[1].ReleaseSinkAsync());

        await b.WaitAsync(Silence.Limit, TestContext.Current.CancellationToken);
        Assert.Equal((false, true), (_a.IsDisposed, _b.IsDisposed));
        write.SetResult();
        await a.WaitAsync(Silence.Limit, TestContext.Current.CancellationToken);
        Assert.True(_a.IsDisposed);
    }

    [Fact]
    public async Task A_sink_that_fails_until_the_end_leaves_its_records_under_way()
    {
        _a.Before = static (_, _) => throw new SinkException("no");
        await StartAsync();
        _lines.Fill(3);
        await _time.NextPauseAsync();

        var end = StopAsync();
        while (!end.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        await end;

        Assert.Equal(new SinkCounts(3, 0), _lines[0].Counts);
        _lines.Ring.Abandon(ulong.MaxValue, LossReason.Shutdown);
        Assert.Equal(new SinkCounts(3, 0, Shutdown: 3), _lines[0].Counts);
    }

    [Fact]
    public async Task A_stop_cuts_a_pause_short_for_one_more_attempt()
    {
        var isFull = true;
        _a.Before = (_, _) => isFull ? throw new SinkException("full") : Task.CompletedTask;
        await StartAsync();
        _lines.Fill(1);
        await _time.NextPauseAsync();

        isFull = false;
        await StopAsync();

        Assert.Equal(["Flow 0 ", "end 1 a 1 8 1 1 0"], await _a.NextLinesAsync(2));
    }

    [Fact]
    public async Task Losses_are_logged_when_they_begin_and_when_the_sink_keeps_up_again()
    {
        var isOpen = new TaskCompletionSource();
        _a.Before = (_, _) => isOpen.Task;
        await StartAsync();
        for (var i = 0; i < 20; i++)
        {
            _lines.Begin();
            while (_lines.Append(1, padding: 2000) == 0)
            {
                _lines.Ring.DropOldest();
            }
            _lines.End();
        }

        await TickUntilAsync(() => _logger.CountOf("The sink a is too slow") == 1);
        Assert.Contains("podnet_exporter_flow_records_lost_total{sink=\"a\",reason=\"backpressure\"}", await ScrapedText.WriteAsync(_registry), StringComparison.Ordinal);
        Assert.DoesNotContain("podnet_exporter_flow_records_lost_total{sink=\"a\",reason=\"backpressure\"} 0\n", await ScrapedText.WriteAsync(_registry), StringComparison.Ordinal);
        isOpen.SetResult();
        await TickUntilAsync(() => _logger.CountOf("The sink a keeps up again") == 1);
        Assert.Equal(1, _logger.Entries.Count(entry => entry.Level == LogLevel.Warning && entry.Text.StartsWith("The sink a", StringComparison.Ordinal)));
    }

    /// <summary>With real threads: sinks of different speed, which fail now and then, and a producer that waits for some lines and drops others.</summary>
    [Fact]
    public async Task Sinks_that_run_beside_the_producer_get_each_record_in_order_or_it_is_counted_as_lost()
    {
        const int Intervals = 300, Records = 100;
        var taken = new List<int>[] { [], [] };
        var calls = 0;
        _a.Before = async (batch, _) =>
        {
            await Task.Yield();
            taken[0].AddRange(ExportedLines.LinesOf(batch).Select(ExportedLines.NumberOf).OfType<int>());
        };
        _b.Before = async (batch, _) =>
        {
            await Task.Yield();
            if (calls++ % 50 == 7)
            {
                throw new SinkException("now and then");
            }
            taken[1].AddRange(ExportedLines.LinesOf(batch).Select(ExportedLines.NumberOf).OfType<int>());
        };
        using var over = new CancellationTokenSource();
        var clock = Task.Run(() =>
        {
            while (!over.IsCancellationRequested)
            {
                _time.Advance(TimeSpan.FromMilliseconds(100));
                foreach (var reader in _lines.Ring.Readers)
                {
                    Assert.InRange(reader.Counts.UnderWay, 0, Intervals * Records);
                    Assert.InRange(reader.QueueBytes, 0, 8 * ExportedLines.BlockBytes);
                }
                Assert.InRange(_lines.Ring.Memory, 1, 8 * ExportedLines.BlockBytes);
            }
        }, TestContext.Current.CancellationToken);
        // The clock runs on while they stop, and much faster than they do.
        await StartAsync(grace: TimeSpan.FromDays(20));

        for (var i = 0; i < Intervals; i++)
        {
            _lines.Begin();
            for (var record = 0; record < Records; record++)
            {
                while (_lines.Append(1, padding: 200) == 0)
                {
                    _ = i % 3 == 0 ? _lines.Ring.DropOldest() : await _lines.Ring.WaitForRoomAsync(TestContext.Current.CancellationToken);
                }
            }
            _lines.End();
        }
        await StopAsync();
        await over.CancelAsync();
        await clock;

        _lines.Ring.Abandon(ulong.MaxValue, LossReason.Shutdown);
        for (var sink = 0; sink < 2; sink++)
        {
            var counts = _lines[sink].Counts;
            Assert.Equal((Intervals * Records, 0), (counts.Issued, counts.UnderWay));
            Assert.Equal(counts.Acknowledged, taken[sink].Count);
            Assert.True(taken[sink].Zip(taken[sink].Skip(1)).All(pair => pair.First < pair.Second));
        }
    }

    private async Task TickUntilAsync(Func<bool> isDone)
    {
        while (!isDone())
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
    }

    /// <param name="grace">Null: the default.</param>
    private async Task StartAsync(TimeSpan? grace = null)
    {
        var factory = Prometheus.Metrics.WithCustomRegistry(_registry);
        foreach (var (reader, sink) in _lines.Ring.Readers.Zip([_a, _b]))
        {
            var cursor = new ExportCursor(reader, sink, new(factory, sink.Name), _health, _time, _logger) { Grace = grace ?? ExportCursor.DefaultGrace };
            _cursors.Add(cursor);
            await cursor.StartAsync(TestContext.Current.CancellationToken);
        }
    }

    private Task StopAsync() => Task.WhenAll(_cursors.Select(cursor => cursor.StopAsync(TestContext.Current.CancellationToken)));
}
