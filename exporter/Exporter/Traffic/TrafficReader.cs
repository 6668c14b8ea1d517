using Exporter.Bpf;
using Exporter.Bpf.Contract;
using Exporter.Metrics;
using Exporter.Options;
using Exporter.Pods;

namespace Exporter.Traffic;

/// <summary>Fetches what the kernel counted. The seam behind which the maps are.</summary>
internal interface ITrafficSource
{
    /// <summary>What was counted since the last call; valid until the next.</summary>
    /// <param name="complete">Whether it is everything; if not, or after an exception, the next call goes on where this one ended.</param>
    ReadOnlySpan<DrainedRow<TrafficKey, TrafficValue>> Drain(out bool complete);

    /// <summary>What could not be counted, since the programs were loaded.</summary>
    Loss ReadLoss(LossReason reason);
}

/// <inheritdoc/>
internal sealed class KernelTrafficSource(PodTrafficPrograms programs) : ITrafficSource
{
    public ReadOnlySpan<DrainedRow<TrafficKey, TrafficValue>> Drain(out bool complete) => programs.Traffic.Drain(out complete);

    public Loss ReadLoss(LossReason reason) => programs.Losses.Read((int)reason);
}

/// <summary>
/// Takes the drained rows to the series of the pods they belong to. Rows of an interface whose pod is not known yet are held
/// until it is, or until the wait is over.
/// </summary>
internal sealed class TrafficReader(
    ITrafficSource source, PodTable pods, ExporterMetrics metrics, TimeProvider time, IdentityOptions options)
{
    private static readonly LossReason[] LossReasons = Enum.GetValues<LossReason>();

    private readonly HeldRows<PodInterface, TrafficValue> _held = new(time, options.Wait);

    /// <summary>Drains come from the drain loop, and in a rare case from the reconciler.</summary>
    private readonly Lock _lock = new();

    private HeldRows<PodInterface, TrafficValue>.Crediter? _credit;
    private HeldRows<PodInterface, TrafficValue>.Taker? _giveUp;
    private bool _unfinished;
    private long _started;
    private long _completed;

    /// <summary>
    /// How many drains have begun. What was counted before this was read is with its pod once <see cref="Completed"/> is greater.
    /// </summary>
    internal long Started => Volatile.Read(ref _started);

    /// <summary>The number of the last drain that has ended well.</summary>
    internal long Completed => Volatile.Read(ref _completed);

    /// <summary>Everything credited since the start, in packets and bytes of both directions.</summary>
    internal (ulong Packets, ulong Bytes) Credited { get; private set; }

    /// <returns>Whether everything could be fetched; what could not is fetched by the next drain, which is the same one going on.</returns>
    /// <exception cref="BpfException">As if it returned false.</exception>
    internal bool Drain()
    {
        lock (_lock)
        {
            if (!_unfinished)
            {
                _started++;
            }
            _unfinished = true;
            var started = time.GetTimestamp();
            var rows = source.Drain(out var complete);
            // Taken after the rows: an interface is in the table before its first packet can be counted.
            var table = pods.Current;
            foreach (ref readonly var row in rows)
            {
                if (table.TryGetValue(row.Key.Ifindex, out var owner))
                {
                    owner.Totals.Add(row.Value.Transmit.Total, row.Value.Receive.Total);
                    if (owner.Counts is { } counts)
                    {
                        Credit(counts, row.Value);
                    }
                    else
                    {
                        _held.Hold(owner, row.Value, static (ref TrafficValue sum, in TrafficValue more) => sum.Add(more));
                    }
                }
                else
                {
                    metrics.Unattributed.Add(row.Value);
                }
            }
            // An interface may be gone by the time that its pod becomes known: its traffic is still that pod's.
            _credit ??= Credit;
            _giveUp ??= metrics.Unattributed.Add;
            _held.Settle(static owner => owner.Counts, _credit, _giveUp);
            if (complete)
            {
                _unfinished = false;
                Volatile.Write(ref _completed, _started);
            }
            metrics.DrainDuration.Observe(time.GetElapsedTime(started).TotalSeconds);
            foreach (var reason in LossReasons)
            {
                metrics.SetLoss(reason, source.ReadLoss(reason));
            }
            return complete;
        }
    }

    private void Credit(IPodCounts counts, in TrafficValue traffic)
    {
        counts.Add(traffic);
        var (transmitted, received) = (traffic.Transmit.Total, traffic.Receive.Total);
        Credited = (Credited.Packets + transmitted.Packets + received.Packets, Credited.Bytes + transmitted.Bytes + received.Bytes);
    }
}
