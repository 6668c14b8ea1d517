using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Exporter.Bpf;
using Exporter.State;

namespace Exporter.Signals.Flows;

/// <summary>
/// The memory of the flow table: a page with a head, and slots. It is pinned beside the ledger, and belongs to the ledger's epoch. A store into it is there at
/// once, however the process ends; which of the copies of a slot is in force is decided by the interval that the ledger has committed.
/// </summary>
internal sealed class FlowSlots : IDisposable
{
    /// <summary>Pins have names that begin so.</summary>
    internal const string PinsBeginning = "flow_table_";

    private const int HeadBytes = MappedArray.ElementBytes;

    private readonly LedgerSegment _segment;

    private long _unplaced;

    private FlowSlots(LedgerSegment segment, int capacity) => (_segment, Capacity) = (segment, capacity);

    internal int Capacity { get; }

    /// <summary>Since when the flows in it are counted without a gap.</summary>
    internal DateTimeOffset CountedSince => new((long)Header.CountedSince, TimeSpan.Zero);

    /// <summary>The last interval before this process; 0: it has begun the memory.</summary>
    internal uint FoundAt { get; private set; }

    /// <summary>
    /// The intervals in which flows had no room, and above that the second of the reading, behind the head. Two for each number of an interface, as the copies of a
    /// slot: the one of an interval that was not committed is not in force. Interfaces whose numbers are so far apart as there is room share them. Earlier
    /// versions have zeros here.
    /// </summary>
    private Span<ulong> Refusals => MemoryMarshal.Cast<byte, ulong>(_segment.Bytes[Unsafe.SizeOf<Head>()..HeadBytes])[..(2 * RefusalNumbers)];

    private const int RefusalNumbers = 250;

    private ref Head Header => ref MemoryMarshal.AsRef<Head>(_segment.Bytes);

    /// <summary>Opens the memory for so many flows, or makes it, and then takes over the flows of one of another size, which is removed.</summary>
    /// <param name="capacity">How many flows there is room for.</param>
    /// <param name="epoch">Of the ledger: flows of another are not these.</param>
    /// <param name="committed">The last interval in the ledger.</param>
    /// <param name="now">A new memory has its flows from now on.</param>
    /// <exception cref="BpfException">The kernel has no room for it, or refused.</exception>
    internal static FlowSlots Open(ILedgerMemory memory, int capacity, UInt128 epoch, ulong committed, DateTimeOffset now)
    {
        var layout = LayoutOf(capacity);
        var found = memory.Open(layout, 0, PagesFor(capacity));
        var slots = new FlowSlots(found ?? memory.Create(layout, 0, PagesFor(capacity)), capacity);
        try
        {
            if (slots.IsOf(epoch))
            {
                slots.FoundAt = (uint)committed;
            }
            else
            {
                if (found is not null)
                {
                    slots.Clear();
                }
                slots.Begin(memory, layout, epoch, committed, now);
            }
            RemoveOthers(memory, layout);
            return slots;
        }
        catch
        {
            slots.Dispose();
            throw;
        }
    }

    /// <summary>Removes all that a process with flows has left.</summary>
    /// <exception cref="BpfException">It cannot be removed.</exception>
    internal static void Remove(ILedgerMemory memory) => RemoveOthers(memory, null);

    internal static MapLayout LayoutOf(int capacity) => new($"slots={capacity}", FlowCopy.Layout);

    internal ref FlowSlot this[int number] =>
        ref MemoryMarshal.AsRef<FlowSlot>(_segment.Bytes.Slice(HeadBytes + (number * FlowSlot.Bytes), FlowSlot.Bytes));

    /// <summary>Notes that a flow of an interface had no room.</summary>
    /// <param name="generation">The low half of the interface's.</param>
    /// <param name="readAt">When the interval was read.</param>
    internal void NoteRefusal(uint generation, uint interval, DateTimeOffset readAt)
    {
        var refusals = RefusalsOf(generation);
        var (one, other) = ((uint)refusals[0], (uint)refusals[1]);
        Volatile.Write(ref refusals[one == interval || (other != interval && one < other) ? 0 : 1], ((ulong)(SecondOf(readAt) + 1) << 32) | interval);
    }

    /// <summary>Whether a flow of the interface had no room in an earlier interval, and not all flows since then are known to have had a packet or none.</summary>
    /// <param name="first">The first packet of a flow that is not remembered.</param>
    internal bool WasRefused(uint generation, uint interval, DateTimeOffset first)
    {
        foreach (var refusal in RefusalsOf(generation))
        {
            if ((uint)refusal is not 0 and var refusedIn && refusedIn < interval && (int)(SecondOf(first) - (uint)(refusal >> 32)) < FlowTable.IdleAfter.TotalSeconds)
            {
                return true;
            }
        }
        return false;
    }

    private Span<ulong> RefusalsOf(uint generation) => Refusals.Slice((int)(2 * (generation % RefusalNumbers)), 2);

    /// <summary>By the low half of the number of seconds.</summary>
    private static uint SecondOf(DateTimeOffset time) => (uint)(time.UtcTicks / TimeSpan.TicksPerSecond);

    /// <summary>How many flows of a memory of another size have no room in this one: counted once, not by each session.</summary>
    internal long TakeUnplaced() => Interlocked.Exchange(ref _unplaced, 0);

    public void Dispose() => _segment.Dispose();

    private static int PagesFor(int capacity) => 1 + (int)(((long)capacity * FlowSlot.Bytes + MappedArray.ElementBytes - 1) / MappedArray.ElementBytes);

    private static void RemoveOthers(ILedgerMemory memory, MapLayout? own)
    {
        foreach (var layout in memory.Layouts.Where(layout => layout.Digest != own?.Digest))
        {
            memory.Remove(layout);
        }
    }

    /// <summary>How many slots there are in a memory that has slots as these; 0: it has others.</summary>
    private static int CapacityOf(MapLayout layout) =>
        layout.Settings.Split('=') is ["slots", var text] && int.TryParse(text, out var capacity) && layout.Digest == LayoutOf(capacity).Digest ? capacity : 0;

    /// <summary>A memory without an epoch was not made to its end.</summary>
    private bool IsOf(UInt128 epoch) => epoch != 0 && new UInt128(Header.EpochHigh, Header.EpochLow) == epoch;

    /// <summary>The epoch first: a process that is killed meanwhile has left none.</summary>
    private void Clear()
    {
        (Header.EpochHigh, Header.EpochLow) = (0, 0);
        _segment.Bytes.Clear();
    }

    private void Begin(ILedgerMemory memory, MapLayout own, UInt128 epoch, ulong committed, DateTimeOffset now)
    {
        Header.CountedSince = (ulong)now.UtcTicks;
        foreach (var layout in memory.Layouts.Where(layout => layout.Digest != own.Digest))
        {
            if (CapacityOf(layout) is > 0 and var capacity && memory.Open(layout, 0, PagesFor(capacity)) is { } segment)
            {
                using var other = new FlowSlots(segment, capacity);
                if (other.IsOf(epoch))
                {
                    Take(other, (uint)committed, now);
                }
            }
        }
        Header.EpochLow = (ulong)epoch;
        // Whatever is stored of two words, the epoch is another one until both are.
        Volatile.Write(ref Header.EpochHigh, (ulong)(epoch >> 64));
    }

    /// <summary>Takes the flows that are remembered, and those that the last interval has a record of, as far as there is room.</summary>
    private void Take(FlowSlots other, uint committed, DateTimeOffset now)
    {
        other.Refusals.CopyTo(Refusals);
        (FoundAt, Header.CountedSince) = (committed, other.Header.CountedSince);
        var next = 0;
        for (var number = 0; number < other.Capacity; number++)
        {
            ref var slot = ref other[number];
            slot.ForgetAfter(committed);
            if (slot.Newest is not { Interval: > 0 } newest || (!newest.IsUsed && newest.Interval != committed))
            {
                continue;
            }
            if (next == Capacity)
            {
                _unplaced++;
                NoteRefusal(slot.Generation, committed, now);
                continue;
            }
            this[next++] = slot;
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Head
    {
        internal ulong EpochHigh;
        internal ulong EpochLow;
        internal ulong CountedSince;
    }
}
