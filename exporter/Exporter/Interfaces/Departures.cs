using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Native;
using Exporter.Health;

namespace Exporter.Interfaces;

/// <summary>
/// Interfaces that are not to be counted any more, and programs that belong to none. Detaching from an interface that lives can wait for the
/// kernel, so it is done a few at a time, and packets are counted for the interface's pod until then. For the reconciler alone.
/// </summary>
internal sealed class Departures(InterfaceContext context, PinCheck pinCheck)
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);

    /// <summary>Programs are attached still.</summary>
    private readonly List<Departure> _attached = [];

    /// <summary>Programs are detached, and not all that was counted is with the pods yet.</summary>
    private readonly List<Attachment> _detached = [];

    internal IEnumerable<Attachment> All => _attached.Select(departure => departure.Attachment).OfType<Attachment>().Concat(_detached);

    internal IEnumerable<TcAttachment> Handles => _attached.SelectMany(departure => departure.Handles);

    internal void Add(Attachment attachment)
    {
        attachment.ClosedAt = context.Time.GetTimestamp();
        // Over a change of options it is known already.
        attachment.Owner.GoneAt ??= context.Time.GetUtcNow();
        _attached.Add(new(attachment, attachment.TakeHandles(), attachment.Owner.Ifindex, context.Time));
    }

    /// <summary>A program that no interface of a pod has.</summary>
    internal void Add(TcAttachment handle) => _attached.Add(new(null, [handle], handle.Ifindex, context.Time));

    /// <summary>Returns whether there is more to detach at once.</summary>
    internal bool DetachSome(TimeSpan slice)
    {
        var started = context.Time.GetTimestamp();
        for (var i = 0; i < _attached.Count;)
        {
            var departure = _attached[i];
            if (!departure.Retry.IsDue)
            {
                i++;
                continue;
            }
            if (context.Time.GetElapsedTime(started) >= slice)
            {
                return true;
            }
            if (TryDetach(departure))
            {
                _attached.RemoveAt(i);
            }
        }
        return false;
    }

    /// <summary>Detaches the programs of departed interfaces with this index. Returns whether none stays attached.</summary>
    internal bool TryDetach(int ifindex)
    {
        _attached.RemoveAll(departure => departure.Ifindex == ifindex && departure.Retry.IsDue && TryDetach(departure));
        return !_attached.Exists(departure => departure.Ifindex == ifindex);
    }

    /// <summary>Forgets those that are detached, and of which this is so.</summary>
    internal void RemoveAll(Predicate<Attachment> isOver) => _detached.RemoveAll(isOver);

    private bool TryDetach(Departure departure)
    {
        while (departure.Handles.TryPeek(out var handle))
        {
            try
            {
                handle.Dispose();
                context.Attacher.LetOthersLock();
            }
            catch (PinException e)
            {
                // It is detached; the pin of nothing that stays is removed by the next process, if that can.
                pinCheck.OnDetachFailed(e);
            }
            catch (KernelException e)
            {
                pinCheck.OnDetachFailed(e);
                departure.Retry.Later();
                return false;
            }
            departure.Handles.Dequeue();
        }
        if (departure.Attachment is { } attachment)
        {
            attachment.Mark = context.Rounds.Now;
            _detached.Add(attachment);
        }
        return true;
    }

    /// <param name="attachment">Null: the programs belong to no interface of a pod.</param>
    private sealed class Departure(Attachment? attachment, IEnumerable<TcAttachment> handles, int ifindex, TimeProvider time)
    {
        internal Attachment? Attachment => attachment;

        internal Queue<TcAttachment> Handles { get; } = new(handles);

        internal int Ifindex => ifindex;

        internal Retry Retry { get; } = new(FirstRetry, LongestRetry, time);
    }
}
