using Exporter.Bpf.Attach;
using Exporter.Signals;
using Exporter.Signals.Traffic;
using Exporter.Tests.Support;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The programs, loaded and attached with one hook, and a thread that drains them every 100 ms from the start to the end.</summary>
internal sealed class Counting : IDisposable
{
    private readonly TrafficPrograms _programs = TrafficPrograms.Load(256);
    private readonly Dictionary<int, TrafficValue> _totals = [];
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;
    private readonly List<IDisposable> _attachments = [];

    internal Counting(string hook)
    {
        Hook = hook == "tcx" ? new TcxAttacher(_programs.Pair) : new ClsactAttacher(_programs.Pair, 10);
        _thread = new Thread(() =>
        {
            while (!_stop.Wait(100))
            {
                Drain();
                Drains++;
            }
        });
        _thread.Start();
    }

    internal TcAttacher Hook { get; }

    internal TrafficPrograms Programs => _programs;

    internal int Drains { get; private set; }

    internal void Attach(Pod pod) => _attachments.Add(Hook.AttachBoth(pod.Ifindex));

    /// <summary>Waits until nothing moves any more and everything is drained, and returns both sides' numbers of that moment.</summary>
    internal (TrafficValue Counted, InterfaceCounters Kernel) Settle(Pod pod)
    {
        while (true)
        {
            var before = pod.ReadCounters();
            lock (_totals)
            {
                Drain();
                var counted = _totals.GetValueOrDefault(pod.Ifindex);
                if (pod.ReadCounters() == before)
                {
                    return (counted, before);
                }
            }
        }
    }

    internal Loss ReadLoss(LossReason reason) => _programs.Losses.Read((int)reason);

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
        _attachments.ForEach(attachment => attachment.Dispose());
        _programs.Dispose();
    }

    private void Drain()
    {
        lock (_totals)
        {
            foreach (var row in _programs.Traffic.Drain())
            {
                var total = _totals.GetValueOrDefault(row.Key.Ifindex);
                total.Add(row.Value);
                _totals[row.Key.Ifindex] = total;
            }
        }
    }
}
