using Exporter.Health;

namespace Exporter.Export;

/// <summary>
/// Lines between one producer, which encodes each once, and a reader for each sink, in blocks whose memory is bounded. A block returns when all sinks have
/// acknowledged it. No sink holds up another, and none the producer: where there is no room, it waits as long as it likes, and then drops the slowest
/// sink's oldest block.
/// </summary>
internal sealed class ExportRing
{
    internal const int BlockBytes = 256 << 10;

    /// <summary>The end of an interval, for which there is room in each block.</summary>
    private static readonly int EndBytes = RecordPage.Cost(0, IntervalEnd.Size);

    private readonly int _blockBytes;
    private readonly int _most;
    private readonly ExportReader[] _readers;
    private readonly Stack<ExportBlock> _free = new();
    private readonly ChangeSignal _room = new();

    private ExportBlock _oldest;
    private ExportBlock _current;
    private int _blocks = 1;
    private int _peak = 1;
    private int _keep = 1;
    private ulong _sequence;
    private ulong _interval;
    private bool _isOpen;

    /// <summary>The producer's own.</summary>
    private PagePosition _tail;
    private int _unpublished;

    /// <param name="maxMemory">The most bytes of all blocks.</param>
    /// <param name="sinks">The names of the sinks, and the counts that each continues with.</param>
    internal ExportRing(long maxMemory, IReadOnlyList<(string Sink, SinkCounts Start)> sinks, IClosingRecord closing, TimeProvider time, int blockBytes = BlockBytes)
    {
        (_blockBytes, _most, Time) = (blockBytes, (int)(maxMemory / blockBytes), time);
        ArgumentOutOfRangeException.ThrowIfZero(sinks.Count, nameof(sinks));
        // Each sink may have a block of which nothing can be dropped; the producer has one, and one is dropped.
        ArgumentOutOfRangeException.ThrowIfLessThan(_most, sinks.Count + 2, nameof(maxMemory));
        _oldest = _current = new(blockBytes);
        _current.Begin(_sequence, 0);
        _tail = _current.Published;
        _readers = [.. sinks.Select(sink => new ExportReader(this, sink.Sink, sink.Start, closing, _current))];
    }

    /// <summary>One for each sink, in their order.</summary>
    internal IReadOnlyList<ExportReader> Readers => _readers;

    /// <summary>Taken for a block, an interval or a batch, never for a record.</summary>
    internal Lock Lock { get; } = new();

    internal TimeProvider Time { get; }

    /// <summary>The memory of all blocks, in bytes.</summary>
    internal long Memory
    {
        get
        {
            lock (Lock)
            {
                return (long)_blocks * _blockBytes;
            }
        }
    }

    /// <summary>
    /// The share of the memory, from 0 to 1, in blocks that at least one sink has not acknowledged, without those that begin with the open interval. It is asked when the
    /// next interval is due.
    /// </summary>
    internal double Pressure
    {
        get
        {
            lock (Lock)
            {
                var count = 0;
                for (var block = _oldest; block is not null; block = block.Next)
                {
                    var isDone = block.Next is null && block.Pins == 0 && _readers.All(static reader => reader.IsCaughtUp);
                    count += block.IsEmpty || isDone || (_isOpen && block.Interval == _interval) ? 0 : 1;
                }
                return (double)count / _most;
            }
        }
    }

    /// <summary>Begins an interval. Where there is no room even for its end, the oldest block is dropped.</summary>
    /// <param name="interval">Greater than all before.</param>
    internal void Begin(ulong interval)
    {
        if (_isOpen || interval <= _interval)
        {
            throw new InvalidOperationException($"Interval {interval} cannot begin: {_interval} has not ended, or is not before it.");
        }
        lock (Lock)
        {
            (_interval, _isOpen) = (interval, true);
            _current.Interval = _tail == _current.Page.Start ? interval : _current.Interval;
        }
        while (RecordPage.Room(_tail) < EndBytes && !TryContinue())
        {
            DropOldest();
        }
    }

    /// <summary>Appends a record of the open interval. Cursors see it once its block is full, or the interval has ended.</summary>
    /// <param name="line">JSON, with '\n' at its end.</param>
    /// <param name="key">At most 65,535 bytes.</param>
    /// <returns>False: there is no room now. All lines before this one can be read then.</returns>
    internal bool TryAppend(ReadOnlySpan<byte> line, LineKind kind, ReadOnlySpan<byte> key)
    {
        var cost = RecordPage.Cost(line.Length, key.Length) + EndBytes;
        if (!_isOpen || kind == LineKind.Interval || key.Length > ushort.MaxValue || cost > _blockBytes || line is not [.., (byte)'\n'])
        {
            throw new ArgumentException($"A {kind} record of {line.Length} bytes cannot be appended: no interval has begun, it is too long, or its line has no end.", nameof(line));
        }
        if (RecordPage.Room(_tail) < cost && !TryContinue())
        {
            return false;
        }
        _tail = _current.Page.Append(_tail, line, kind, key);
        _unpublished += kind is LineKind.Flow or LineKind.Rest ? 1 : 0;
        return true;
    }

    /// <summary>Waits until there is room for a record that there was none for.</summary>
    /// <returns>False: the wait was cancelled.</returns>
    internal async ValueTask<bool> WaitForRoomAsync(CancellationToken cancellationToken)
    {
        while (!HasRoom())
        {
            try
            {
                await _room.WaitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                return HasRoom();
            }
        }
        return true;
    }

    /// <summary>
    /// Makes room, where the producer can wait no longer: drops the oldest block of the slowest sink for that sink, and further ones until one is free. The
    /// flow and rest records are counted as lost; the closing records of intervals that ended in these blocks are not sent to that sink. A batch that a sink
    /// has is not dropped.
    /// </summary>
    /// <returns>Whether there is room.</returns>
    internal bool DropOldest()
    {
        lock (Lock)
        {
            Release();
            while (_free.Count == 0 && _blocks == _most)
            {
                var slowest = _readers.MinBy(static reader => reader.Block.Sequence)!;
                if (slowest.Block.Next is null)
                {
                    return false;
                }
                slowest.DropBlock();
                Release();
            }
        }
        foreach (var reader in _readers)
        {
            reader.Notify();
        }
        return true;
    }

    /// <summary>Ends the open interval. Each cursor writes the closing record when it has written those of the interval.</summary>
    internal void End(in IntervalEnd end)
    {
        if (!_isOpen || end.Number != _interval)
        {
            throw new InvalidOperationException($"Interval {end.Number} cannot end: {_interval} is the open one, or the last one.");
        }
        Span<byte> numbers = stackalloc byte[IntervalEnd.Size];
        end.Write(numbers);
        _tail = _current.Page.Append(_tail, [], LineKind.Interval, numbers);
        lock (Lock)
        {
            _isOpen = false;
            Publish();
            // Memory of a peak returns to the system, a block an interval.
            _keep = Math.Max(_peak, _keep - 1);
            _peak = _blocks - _free.Count;
            while (_blocks > _keep && _free.TryPop(out _))
            {
                _blocks--;
            }
        }
    }

    /// <summary>
    /// Counts records under way as lost, for all sinks, once their cursors have stopped. Nothing is read or written after it, and the memory of all blocks but one returns.
    /// </summary>
    /// <param name="before">The first interval that is kept elsewhere, for the next process; <see cref="ulong.MaxValue"/>: none.</param>
    internal void Abandon(ulong before, LossReason reason)
    {
        lock (Lock)
        {
            Publish();
            foreach (var reader in _readers)
            {
                reader.Abandon(before, _interval, reason);
            }
            // One by one: a sink that has not ended its write keeps its own block, and not those behind it.
            for (var block = _oldest; block is not null;)
            {
                (block, block.Next) = (block.Next, null);
            }
            _free.Clear();
            (_oldest, _blocks) = (_current, 1);
        }
    }

    /// <summary>Takes blocks back that all readers are past. The caller has the lock.</summary>
    internal void Release()
    {
        var first = ulong.MaxValue;
        foreach (var reader in _readers)
        {
            reader.Advance();
            first = Math.Min(first, reader.Block.Sequence);
        }
        ExportBlock? pinned = null;
        for (var block = _oldest; block.Sequence < first;)
        {
            var next = block.Next!;
            if (block.Pins > 0)
            {
                pinned = block;
            }
            else
            {
                if (pinned is null)
                {
                    _oldest = next;
                }
                else
                {
                    pinned.Next = next;
                }
                _free.Push(block);
                _room.Set();
            }
            block = next;
        }
    }

    private bool HasRoom()
    {
        lock (Lock)
        {
            return _free.Count > 0 || _blocks < _most;
        }
    }

    /// <summary>Publishes the block, and continues with another one.</summary>
    /// <returns>False: there is none.</returns>
    private bool TryContinue()
    {
        lock (Lock)
        {
            Publish();
            if (!_free.TryPop(out var block))
            {
                if (_blocks == _most)
                {
                    return false;
                }
                block = new(_blockBytes);
                _blocks++;
            }
            block.Begin(++_sequence, _interval);
            _peak = Math.Max(_peak, _blocks - _free.Count);
            _current.Next = block;
            _current = block;
            _tail = block.Published;
            Release();
            return true;
        }
    }

    private void Publish()
    {
        if (_tail == _current.Published)
        {
            return;
        }
        var now = Time.GetTimestamp();
        if (_current.IsEmpty)
        {
            _current.Since = now;
        }
        foreach (var reader in _readers)
        {
            reader.Issue(_unpublished, now);
        }
        (_current.Published, _unpublished) = (_tail, 0);
        foreach (var reader in _readers)
        {
            reader.Lines.Set();
        }
    }
}
