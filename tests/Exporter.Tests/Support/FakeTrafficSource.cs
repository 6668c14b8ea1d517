using Exporter.Bpf;
using Exporter.Signals;
using Exporter.Signals.Traffic;

namespace Exporter.Tests.Support;

/// <summary>Hands out what a test has put in, once; says when it was asked.</summary>
internal sealed class FakeTrafficSource : IRowSource<TrafficKey, TrafficValue>, IDisposable
{
    private readonly Dictionary<LossReason, Loss> _losses = [];
    private readonly SemaphoreSlim _drained = new(0);
    private readonly FakeRows<TrafficKey, TrafficValue> _rows = new();
    private int _drains;

    internal int Drains => Volatile.Read(ref _drains);

    /// <summary>The kernel refuses, from now on.</summary>
    internal bool Fails { get; set; }

    /// <summary>The kernel refuses to empty the map, from now on.</summary>
    internal bool FailsToClear { get; set; }

    /// <summary>The kernel refuses to tell the losses, from now on.</summary>
    internal bool FailsToReadLosses { get; set; }

    /// <summary>Runs while the reader waits for the rows.</summary>
    internal Action WhileDraining { get; set; } = () => { };

    public ReadOnlySpan<DrainedRow<TrafficKey, TrafficValue>> Read(out RowsRead read)
    {
        read = new(default, IsPrevious: false, IsCommitted: false, IsLast: true);
        Interlocked.Increment(ref _drains);
        try
        {
            WhileDraining();
            return Fails ? throw new BpfException("drain the map", 12) : _rows.Read();
        }
        finally
        {
            _drained.Release();
        }
    }

    public void Keep()
    {
    }

    public void Release()
    {
        _rows.Clear();
        if (FailsToClear)
        {
            throw new BpfException("empty the map", 12);
        }
    }

    public void EndPrevious()
    {
    }

    internal Loss ReadLoss(LossReason reason) =>
        FailsToReadLosses ? throw new BpfException("read the losses", 12) : _losses.GetValueOrDefault(reason);

    public void Dispose() => _drained.Dispose();

    internal void Put(int ifindex, TrafficValue traffic) => _rows.Put(new(ifindex), traffic);

    internal void SetLoss(LossReason reason, Loss total) => _losses[reason] = total;

    /// <summary>Waits for one more drain than was waited for before.</summary>
    internal async Task NextDrainAsync() => Assert.True(await _drained.WaitAsync(Silence.Limit), "no drain came");
}
