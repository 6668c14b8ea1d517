using System.Buffers;
using Exporter.Health;

namespace Exporter.Export;

/// <summary>One sink's place in the ring, and what of it the sink has acknowledged or lost. One cursor reads it; counts may be read by any thread.</summary>
internal sealed class ExportReader
{
    internal const int MaxClosingBytes = 8192;

    private readonly ExportRing _ring;
    private readonly IClosingRecord _closing;
    private readonly RecordPage _closingPage = new(MaxClosingBytes + RecordPage.Cost(0, 0));
    private readonly ArrayBufferWriter<byte> _closingLine = new(MaxClosingBytes);
    private readonly RecordBatch _batch = new();

    private SinkCounts _counts;
    private PagePosition _at;
    private bool _isReading;
    private bool _isClosed;
    private ulong _passed;
    private ulong _settled;
    private ulong _notified;
    private long _waitingSince;

    /// <param name="start">The counts to continue with; nothing can be under way.</param>
    internal ExportReader(ExportRing ring, string sink, SinkCounts start, IClosingRecord closing, ExportBlock block)
    {
        if (start.UnderWay != 0)
        {
            throw new ArgumentException($"The counts of sink {sink} have {start.UnderWay} records under way; count them as lost first, or issue them again.", nameof(start));
        }
        (_ring, Sink, _counts, _closing, Block, _at) = (ring, sink, start, closing, block, block.Published);
    }

    /// <summary>
    /// Raised when <see cref="SettledInterval"/> has become greater, on the cursor's thread or on the producer's (which drops), under no lock.
    /// </summary>
    internal event Action<ExportReader>? IntervalSettled;

    internal string Sink { get; }

    /// <summary>Set when there are lines to read.</summary>
    internal ChangeSignal Lines { get; } = new();

    /// <summary>A consistent snapshot.</summary>
    internal SinkCounts Counts
    {
        get
        {
            lock (_ring.Lock)
            {
                return _counts;
            }
        }
    }

    /// <summary>The last interval of which, and of those before it, each record is acknowledged or counted as lost, and its closing record too; 0: none.</summary>
    internal ulong SettledInterval
    {
        get
        {
            lock (_ring.Lock)
            {
                return _settled;
            }
        }
    }

    /// <summary>The lines that are not acknowledged, in bytes.</summary>
    internal long QueueBytes
    {
        get
        {
            lock (_ring.Lock)
            {
                long bytes = _isReading ? _batch.Lines.Length : 0;
                bytes -= _isClosed ? 0 : _at.Line;
                for (var block = _isClosed ? null : Block; block is not null; block = block.Next)
                {
                    bytes += block.Published.Line;
                }
                return bytes;
            }
        }
    }

    /// <summary>The age of the oldest line that is not acknowledged, exact to the time in which a block is filled; zero: there is none.</summary>
    internal TimeSpan OldestAge
    {
        get
        {
            lock (_ring.Lock)
            {
                var block = _isReading ? _batch.Block ?? Block : Block;
                return IsCaughtUp ? TimeSpan.Zero : _ring.Time.GetElapsedTime(Math.Max(_waitingSince, block.Since));
            }
        }
    }

    /// <summary>The block that it reads next. Guarded by the ring's lock, as is all that follows it down to <see cref="TryRead"/>.</summary>
    internal ExportBlock Block { get; private set; }

    /// <summary>Whether all is read and settled.</summary>
    internal bool IsCaughtUp => !_isReading && IsAtEnd;

    internal bool IsAtEnd => _isClosed || (Block.Next is null && _at == Block.Published);

    /// <summary>Moves on from blocks that are read.</summary>
    internal void Advance()
    {
        while (Block.Next is { } next && _at == Block.Published)
        {
            (Block, _at) = (next, next.Page.Start);
        }
    }

    /// <summary>Notes records that are about to be published.</summary>
    internal void Issue(int count, long now)
    {
        if (IsCaughtUp)
        {
            _waitingSince = now;
        }
        _counts = _counts with { Issued = _counts.Issued + count };
    }

    /// <summary>Counts records that are never written as issued, and as lost. Takes the ring's lock.</summary>
    internal void Lose(long count, LossReason reason)
    {
        lock (_ring.Lock)
        {
            _counts = (_counts with { Issued = _counts.Issued + count }).WithLost(reason, count);
        }
    }

    /// <summary>Counts the rest of its block as lost, and moves on to the next one, which there has to be.</summary>
    internal void DropBlock()
    {
        var lost = 0;
        while (_at != Block.Published)
        {
            var record = Block.Page.Read(_at, out _at);
            lost += record.IsCounted ? 1 : 0;
            _passed = record.Kind == LineKind.Interval ? IntervalEnd.Read(record.Key).Number : _passed;
        }
        _counts = _counts.WithLost(LossReason.Backpressure, lost);
        _settled = _isReading ? _settled : _passed;
        Advance();
    }

    /// <summary>Counts as lost all that is under way of intervals before one, and reads no more.</summary>
    /// <param name="open">The interval of the last records.</param>
    internal void Abandon(ulong before, ulong open, LossReason reason)
    {
        if (_isClosed)
        {
            return;
        }
        long lost = 0;
        long ofInterval = _isReading ? _batch.Counted : 0;
        var last = Block;
        for (var block = Block; block is not null; block = block.Next)
        {
            last = block;
            for (var at = block == Block ? _at : block.Page.Start; at != block.Published;)
            {
                var record = block.Page.Read(at, out at);
                ofInterval += record.IsCounted ? 1 : 0;
                if (record.Kind == LineKind.Interval)
                {
                    lost += IntervalEnd.Read(record.Key).Number < before ? ofInterval : 0;
                    ofInterval = 0;
                }
            }
        }
        lost += open < before ? ofInterval : 0;
        _counts = _counts.WithLost(reason, lost);
        (Block, _isClosed) = (last, true);
    }

    /// <summary>Reads the lines up to the end of an interval or of a block, or the record that closes an interval. The batch has to be settled before the next one is read.</summary>
    /// <returns>Null: there is nothing to read.</returns>
    internal RecordBatch? TryRead()
    {
        IntervalEnd end;
        SinkCounts counts;
        lock (_ring.Lock)
        {
            if (_isReading)
            {
                throw new InvalidOperationException("A batch is not settled.");
            }
            Advance();
            if (IsAtEnd)
            {
                return null;
            }
            _isReading = true;
            var (from, page) = (_at, Block.Page);
            var record = page.Read(_at, out var next);
            if (record.Kind != LineKind.Interval)
            {
                do
                {
                    _at = next;
                }
                while (_at != Block.Published && page.Read(_at, out next).Kind != LineKind.Interval);
                Block.Pins++;
                _batch.Set(Block, page, from, _at);
                return _batch;
            }
            _at = next;
            (end, counts) = (IntervalEnd.Read(record.Key), _counts);
            _passed = end.Number;
            _batch.Set(null, _closingPage, _closingPage.Start, _closingPage.Start);
        }
        _closingLine.ResetWrittenCount();
        _closing.Write(Sink, end, counts, _closingLine);
        var tail = _closingPage.Append(_closingPage.Start, _closingLine.WrittenSpan, LineKind.Interval, _closing.Key.Span);
        lock (_ring.Lock)
        {
            _batch.Set(null, _closingPage, _closingPage.Start, tail);
        }
        return _batch;
    }

    /// <summary>Notes that a batch is written: its records are acknowledged, but for those that are rejected.</summary>
    internal void Settle(RecordBatch batch)
    {
        lock (_ring.Lock)
        {
            _isReading = false;
            if (batch.Block is { } block)
            {
                block.Pins--;
            }
            if (!_isClosed)
            {
                _counts = (_counts with { Acknowledged = _counts.Acknowledged + batch.Counted - batch.CountedRejected }).WithLost(LossReason.Rejected, batch.CountedRejected);
                _settled = _passed;
            }
            _ring.Release();
        }
        Notify();
    }

    /// <summary>Raises <see cref="IntervalSettled"/> if there is a reason to.</summary>
    internal void Notify()
    {
        lock (_ring.Lock)
        {
            if (_notified == _settled)
            {
                return;
            }
            _notified = _settled;
        }
        IntervalSettled?.Invoke(this);
    }
}
