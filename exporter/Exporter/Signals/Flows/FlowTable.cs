using System.Runtime.InteropServices;
using Exporter.Records;

namespace Exporter.Signals.Flows;

/// <summary>
/// Remembers flows from one interval to the next: who began, when, and whether it is over. Bounded. Each interval is stored beside the one before, and is in
/// force once the ledger has committed it: so a process that is killed at any time, and the next one, take no interval twice. An interval that is committed
/// is read as it was stored. Used by the drain alone.
/// </summary>
internal sealed class FlowTable
{
    /// <summary>A flow without a packet for so long is over, and a packet after that begins another.</summary>
    internal static readonly TimeSpan IdleAfter = TimeSpan.FromSeconds(60);

    private readonly FlowSlots _slots;
    private readonly FlowLimits? _limits;

    /// <summary>The numbers of the slots in use.</summary>
    private readonly HashSet<int> _numbers;
    private readonly HashSet<int>.AlternateLookup<FlowKey> _byKey;

    /// <summary>How many each interface has, by the low half of its generation.</summary>
    private readonly Dictionary<uint, int> _counts = [];

    private readonly Stack<int> _free = [];

    /// <summary>Slots that the last interval has freed: a repeat of it needs them as they are.</summary>
    private readonly List<int> _freed = [];

    /// <summary>The numbers of these slots, for a repeat.</summary>
    private readonly HashSet<int> _freedNumbers;
    private readonly HashSet<int>.AlternateLookup<FlowKey> _freedByKey;

    /// <summary>The interfaces whose flows give room when they are over.</summary>
    private readonly HashSet<uint> _tight = [];

    /// <summary>Flows of a table of another size that this one has no room for.</summary>
    private readonly long _unplaced;

    /// <summary>No slot from here on is in use.</summary>
    private int _end;

    /// <summary>The last interval that the ledger has.</summary>
    private uint _committed;

    /// <summary>The interval that is stored.</summary>
    private uint _interval;

    /// <param name="slots">Its room; the owner disposes it.</param>
    /// <param name="committed">The last interval in the ledger.</param>
    /// <param name="limits">How interfaces share the room; null: each may have all.</param>
    internal FlowTable(FlowSlots slots, ulong committed, FlowLimits? limits = null)
    {
        (_slots, _limits, _committed, _unplaced) = (slots, limits, (uint)committed, slots.TakeUnplaced());
        Forgotten = _unplaced;
        var keys = new SlotKeys(slots);
        (_numbers, _freedNumbers) = (new(keys), new(keys));
        (_byKey, _freedByKey) = (_numbers.GetAlternateLookup<FlowKey>(), _freedNumbers.GetAlternateLookup<FlowKey>());
        Read();
    }

    internal int Count => _numbers.Count;

    /// <summary>Flows that were not remembered: there was no room, or a killed process has stored half of them.</summary>
    internal long Forgotten { get; private set; }

    /// <summary>Flows of which a killed process had stored half.</summary>
    internal int Torn { get; private set; }

    internal DateTimeOffset CountedSince => _slots.CountedSince;

    /// <summary>Whether the rows that follow are of an interval that was committed, and have the same sights again.</summary>
    private bool IsRepeat => _interval == _committed;

    /// <summary>Begins an interval, whose rows follow.</summary>
    /// <param name="interval">The number of the one after the last, or of the last one itself, whose rows are read again.</param>
    internal void Begin(ulong interval)
    {
        if (_interval > _committed)
        {
            // It was not committed: its rows come again.
            Read();
        }
        _interval = (uint)interval;
        if (!IsRepeat)
        {
            _freed.ForEach(_free.Push);
            _freed.Clear();
            _freedNumbers.Clear();
        }
    }

    /// <summary>The ledger has committed the interval.</summary>
    internal void End() => _committed = _interval;

    /// <summary>Takes a row. Allocates for flows alone that are new.</summary>
    /// <param name="generation">Of the interface.</param>
    /// <param name="countedSince">Since when the interface's flows are counted.</param>
    /// <param name="guess">Which end of a flow has begun, where no packet shows it.</param>
    internal FlowSight See(
        in FlowKey key, in FlowValue value, long generation, DateTimeOffset countedSince, in FlowClock clock, Func<FlowKey, (bool IsLocalSource, FlowOrientation Orientation)> guess)
    {
        var counted = value.Transmit.Connections > 0 ? value.Transmit.Connections : value.Receive.Connections;
        var first = Flow.FirstOf(value, clock);
        var flow = default(Flow);
        var (isNew, isUnknown) = (true, false);
        if (TryFind(key, (uint)generation, out var number))
        {
            ref var newest = ref _slots[number].Newest;
            if (IsRepeat && newest.Interval == _interval)
            {
                return newest.ReadSight(counted);
            }
            isNew = first - newest.LastPacket >= IdleAfter;
            flow = isNew ? flow : Read(newest);
        }
        else
        {
            number = TryTake(key, (uint)generation, clock);
            isUnknown = _slots.WasRefused((uint)generation, _interval, first);
        }
        var sight = flow.See(key, value, first, isNew, wasSilent: !isUnknown && first - countedSince >= IdleAfter, isUnknown, clock, guess);
        if (number >= 0)
        {
            _slots[number].Write(_interval, FlowCopy.Of(flow, sight, counted, isUsed: true, isSilent: false));
        }
        return sight;
    }

    /// <summary>Looks at the flows that had no packet in the interval, and forgets those that are over.</summary>
    /// <param name="say">Is given each flow that there is a record of all the same, and the low half of its interface's generation.</param>
    internal void Sweep(in FlowClock clock, Action<FlowKey, uint, FlowSight> say)
    {
        FindTight();
        for (var number = 0; number < _end; number++)
        {
            ref var slot = ref _slots[number];
            ref var newest = ref slot.Newest;
            if (IsRepeat)
            {
                if (newest.Interval == _interval && newest.IsSilent)
                {
                    say(slot.Key, slot.Generation, newest.ReadSight(0));
                }
                continue;
            }
            var isTight = _tight.Count > 0 && _tight.Contains(slot.Generation);
            if (newest.Interval == 0 || (newest.Interval == _interval && !isTight) || !newest.IsUsed)
            {
                continue;
            }
            var flow = Read(newest);
            var givesRoom = isTight && flow.IsLikelyOver(clock.ReadAt);
            if (newest.Interval == _interval)
            {
                if (givesRoom)
                {
                    slot.Write(_interval, newest.Forgotten());
                    Free(number);
                }
                continue;
            }
            var isIdle = clock.ReadAt - flow.LastPacket >= IdleAfter;
            var isSilent = flow.TryMiss(clock, isIdle, out var sight);
            var isOver = isIdle || givesRoom;
            if (isSilent)
            {
                say(slot.Key, slot.Generation, sight);
            }
            if (isSilent || isOver)
            {
                slot.Write(_interval, FlowCopy.Of(flow, sight, 0, isUsed: !isOver, isSilent));
            }
            if (isOver)
            {
                Free(number);
            }
        }
    }

    /// <summary>
    /// How many flows had no packet in the last interval and a record all the same; and flows that a table of another size has had no room for, of which that is not
    /// known.
    /// </summary>
    internal long CountSilent(ulong interval)
    {
        var silent = _unplaced;
        for (var number = 0; number < _end; number++)
        {
            ref var newest = ref _slots[number].Newest;
            silent += newest.Interval == (uint)interval && newest.IsSilent ? 1 : 0;
        }
        return silent;
    }

    private Flow Read(in FlowCopy copy) => copy.Read(isRemembered: copy.Interval <= _slots.FoundAt);

    /// <summary>The slot of a flow. One of the same key at another interface, which had the index before, is forgotten.</summary>
    private bool TryFind(in FlowKey key, uint generation, out int number)
    {
        if (!_byKey.TryGetValue(key, out number) && !(IsRepeat && _freedByKey.TryGetValue(key, out number)))
        {
            return false;
        }
        ref var slot = ref _slots[number];
        if (slot.Generation == generation)
        {
            return true;
        }
        if (!IsRepeat)
        {
            slot.Write(_interval, default);
            Free(number);
        }
        return false;
    }

    /// <summary>
    /// Finds the interfaces that have used more than half of what they may have, of all slots or, once a quarter of these is used, of their share. All of an
    /// interface's flows that are over give room, so it does not matter which slots they are in.
    /// </summary>
    private void FindTight()
    {
        _tight.Clear();
        var (most, share) = RoomOfOne;
        var room = _numbers.Count > _slots.Capacity / 4 ? Math.Min(most, share) : most;
        foreach (var (generation, count) in _counts)
        {
            if (count > room / 2)
            {
                _tight.Add(generation);
            }
        }
    }

    /// <summary>The next interval can give the slot to another flow.</summary>
    private void Free(int number)
    {
        ref var slot = ref _slots[number];
        _numbers.Remove(number);
        AddFreed(number);
        if (--CollectionsMarshal.GetValueRefOrNullRef(_counts, slot.Generation) == 0)
        {
            _counts.Remove(slot.Generation);
        }
    }

    private void AddFreed(int number)
    {
        _freed.Add(number);
        // In place of another slot that the same key has left in the interval.
        _freedNumbers.Remove(number);
        _freedNumbers.Add(number);
    }

    /// <summary>How many flows an interface may have, and how many once half of the slots are used.</summary>
    private (int Most, int Share) RoomOfOne => _limits?.Of(_slots.Capacity) ?? (_slots.Capacity, _slots.Capacity);

    /// <summary>Whether the interface may have one more: a flood at others does not take its share.</summary>
    private bool MayTake(uint generation)
    {
        var (count, (most, share)) = (_counts.GetValueOrDefault(generation), RoomOfOne);
        return count < most && (count < share || _free.Count > _slots.Capacity / 2);
    }

    /// <summary>Gives a flow a slot. Returns its number; -1: there is no room, or a repeat has no slot of it.</summary>
    private int TryTake(in FlowKey key, uint generation, in FlowClock clock)
    {
        if (IsRepeat)
        {
            return -1;
        }
        if (!MayTake(generation) || !_free.TryPop(out var number))
        {
            Forgotten++;
            _slots.NoteRefusal(generation, _interval, clock.ReadAt);
            return -1;
        }
        ref var slot = ref _slots[number];
        (slot.Key, slot.Generation) = (key, generation);
        _numbers.Add(number);
        CountFor(generation);
        _end = Math.Max(_end, number + 1);
        return number;
    }

    private void CountFor(uint generation) => _counts[generation] = _counts.GetValueOrDefault(generation) + 1;

    /// <summary>Finds the flows that are in force. Copies of an interval that was not committed are forgotten.</summary>
    private void Read()
    {
        _numbers.Clear();
        _counts.Clear();
        _free.Clear();
        _freed.Clear();
        _freedNumbers.Clear();
        _end = 0;
        for (var number = _slots.Capacity - 1; number >= 0; number--)
        {
            ref var slot = ref _slots[number];
            slot.ForgetAfter(_committed);
            if (slot.Newest.Interval != 0 && (!slot.IsWhole || (slot.Newest.IsUsed && !_numbers.Add(number))))
            {
                slot.Erase();
                Torn++;
                Forgotten++;
            }
            var newest = slot.Newest;
            if (newest.Interval == 0 || (!newest.IsUsed && newest.Interval != _committed))
            {
                _free.Push(number);
            }
            else
            {
                _end = Math.Max(_end, number + 1);
                if (newest.IsUsed)
                {
                    CountFor(slot.Generation);
                }
                else
                {
                    AddFreed(number);
                }
            }
        }
    }
}
