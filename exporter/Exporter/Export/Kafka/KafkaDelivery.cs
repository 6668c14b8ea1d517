using Confluent.Kafka;

namespace Exporter.Export.Kafka;

/// <summary>The records of a batch on their way: which are acknowledged, rejected or open. Reports come on the client's threads.</summary>
internal sealed class KafkaDelivery
{
    private ErrorCode[] _codes = [];
    private bool[] _isDone = [];
    private bool[] _isRejected = [];
    private ulong _batch;
    private int _count;
    private int _underWay;
    private TaskCompletionSource _arrived = new();

    /// <summary>Ends when all records that were sent have a report.</summary>
    internal Task Arrived => _arrived.Task;

    /// <summary>Begins a batch, or continues it with the records that are open.</summary>
    internal void Begin(RecordBatch batch)
    {
        if (_batch == batch.Number && _count == batch.Count)
        {
            return;
        }
        (_batch, _count) = (batch.Number, batch.Count);
        if (_codes.Length < _count)
        {
            (_codes, _isDone, _isRejected) = (new ErrorCode[_count], new bool[_count], new bool[_count]);
        }
        Array.Clear(_isDone, 0, _count);
        Array.Clear(_isRejected, 0, _count);
        Array.Clear(_codes, 0, _count);
    }

    /// <summary>Begins an attempt, which has no report under way.</summary>
    internal void Open() => (_underWay, _arrived) = (1, new(TaskCreationOptions.RunContinuationsAsynchronously));

    /// <summary>Notes that no more records are sent in this attempt.</summary>
    internal void Close() => Arrive();

    internal bool IsOpen(int record) => !_isDone[record] && !_isRejected[record];

    internal bool IsRejected(int record) => _isRejected[record];

    internal ErrorCode CodeOf(int record) => _codes[record];

    /// <summary>Before a record is sent.</summary>
    internal void Send() => Interlocked.Increment(ref _underWay);

    /// <summary>A record that was to be sent was not.</summary>
    internal void Fail(int record, ErrorCode code)
    {
        _codes[record] = code;
        Arrive();
    }

    internal void Reject(int record) => _isRejected[record] = true;

    /// <summary>The client's report on a record.</summary>
    internal void Report(DeliveryReport<int, int> report)
    {
        var record = report.Message.Value;
        (_codes[record], _isDone[record]) = (report.Error.Code, !report.Error.IsError);
        Arrive();
    }

    /// <summary>Whether a record is open for another reason than the set that it was sent in.</summary>
    internal bool HasTrouble => FirstProblem() is { } problem && !KafkaErrors.IsOfSet(problem);

    /// <summary>The first open record from one on.</summary>
    /// <returns>-1: there is none.</returns>
    internal int NextOpen(int from)
    {
        for (var record = from; record < _count; record++)
        {
            if (IsOpen(record))
            {
                return record;
            }
        }
        return -1;
    }

    /// <summary>Why a record was not taken, the first that was not refused for its set, if there is one; null: none is open.</summary>
    internal ErrorCode? FirstProblem()
    {
        ErrorCode? found = null;
        for (var record = NextOpen(0); record >= 0; record = NextOpen(record + 1))
        {
            found ??= _codes[record];
            if (!KafkaErrors.IsOfSet(_codes[record]))
            {
                return _codes[record];
            }
        }
        return found;
    }

    private void Arrive()
    {
        if (Interlocked.Decrement(ref _underWay) == 0)
        {
            _arrived.TrySetResult();
        }
    }
}
