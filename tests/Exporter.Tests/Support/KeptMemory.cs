using System.Runtime.InteropServices;
using System.Text;
using Exporter.Bpf;
using Exporter.State;

namespace Exporter.Tests.Support;

/// <summary>Memory of ledgers as pins keep it: a test can end a process at any store, and open what it has left.</summary>
internal sealed class KeptMemory : ILedgerMemory
{
    private readonly Dictionary<string, List<byte[]>> _ledgers = [];

    /// <summary>How many segments there is room for.</summary>
    internal int Room { get; set; } = int.MaxValue;

    /// <summary>Called whenever the ledger asks for a record, which it does before each that it writes.</summary>
    internal Action? OnAccess { get; set; }

    internal int Segments => _ledgers.Values.Sum(segments => segments.Count);

    /// <summary>A ledger as some commit has left it: a line that is its layout, and its segments.</summary>
    internal static KeptMemory Read(byte[] recording)
    {
        var end = recording.AsSpan().IndexOf((byte)'\n');
        var memory = new KeptMemory();
        memory._ledgers[Encoding.UTF8.GetString(recording, 0, end)] = [.. recording[(end + 1)..].Chunk(Ledger.SegmentBytes)];
        return memory;
    }

    public IReadOnlyList<MapLayout> Layouts => [.. _ledgers.Keys.Select(MapLayout.Parse)];

    public Ledger.Segment? Open(MapLayout layout, int segment) =>
        _ledgers.TryGetValue(layout.Text, out var segments) && segment < segments.Count ? new KeptSegment(this, segments[segment]) : null;

    public Ledger.Segment Create(MapLayout layout, int segment)
    {
        if (Segments >= Room)
        {
            throw new PinException("no room");
        }
        if (!_ledgers.TryGetValue(layout.Text, out var segments))
        {
            _ledgers[layout.Text] = segments = [];
        }
        Assert.Equal(segments.Count, segment);
        segments.Add(new byte[Ledger.SegmentBytes]);
        return new KeptSegment(this, segments[segment]);
    }

    public void Remove(MapLayout layout) => _ledgers.Remove(layout.Text);

    internal KeptMemory Copy()
    {
        var copy = new KeptMemory { Room = Room };
        foreach (var (layout, segments) in _ledgers)
        {
            copy._ledgers[layout] = [.. segments.Select(segment => segment.ToArray())];
        }
        return copy;
    }

    /// <summary>With another's ledgers beside its own.</summary>
    internal KeptMemory With(KeptMemory other)
    {
        var (both, copy) = (Copy(), other.Copy());
        foreach (var (layout, segments) in copy._ledgers)
        {
            both._ledgers.Add(layout, segments);
        }
        return both;
    }

    /// <summary>
    /// What a process that was killed on the way from this memory to the other may have left: any of the eight-byte words that differ are
    /// stored already, only not the one of the commit, which comes after all of them.
    /// </summary>
    /// <param name="isStored">Asked for each.</param>
    internal KeptMemory Tear(KeptMemory after, Func<bool> isStored)
    {
        var torn = Copy();
        foreach (var (layout, segments) in after._ledgers)
        {
            if (!torn._ledgers.TryGetValue(layout, out var former))
            {
                torn._ledgers[layout] = former = [];
            }
            for (var segment = 0; segment < segments.Count; segment++)
            {
                if (segment == former.Count)
                {
                    former.Add(new byte[Ledger.SegmentBytes]);
                }
                var from = MemoryMarshal.Cast<byte, ulong>(segments[segment].AsSpan());
                var to = MemoryMarshal.Cast<byte, ulong>(former[segment].AsSpan());
                for (var word = segment == 0 ? 1 : 0; word < to.Length; word++)
                {
                    if (from[word] != to[word] && isStored())
                    {
                        to[word] = from[word];
                    }
                }
            }
        }
        return torn;
    }

    /// <summary>The same ledger as a program has written it whose counters are these: a reordering of today's, others missing, or more.</summary>
    internal KeptMemory As(MapLayout layout)
    {
        var copy = new KeptMemory { Room = Room };
        var sources = layout.Find(LedgerCounts.Layout) ?? [.. Enumerable.Range(0, layout.Counters.Count)];
        var today = LedgerCounts.Layout.Counters.Count;
        foreach (var segment in _ledgers[LedgerCounts.Layout.Text])
        {
            var other = new byte[segment.Length];
            for (var at = 0; at < segment.Length; at += MappedArray.ElementBytes)
            {
                var from = MemoryMarshal.Cast<byte, ulong>(segment.AsSpan(at, MappedArray.ElementBytes));
                var to = MemoryMarshal.Cast<byte, ulong>(other.AsSpan(at, MappedArray.ElementBytes));
                if (at == 0 && copy.Segments == 0)
                {
                    from.CopyTo(to);
                    continue;
                }
                from[..2].CopyTo(to);
                for (var index = 0; index < 2; index++)
                {
                    var one = from.Slice(2 + (index * (2 + today)), 2 + today);
                    var another = to.Slice(2 + (index * (2 + sources.Length)), 2 + sources.Length);
                    one[..2].CopyTo(another);
                    for (var i = 0; i < sources.Length; i++)
                    {
                        another[2 + i] = sources[i] < 0 ? 999 : one[2 + sources[i]];
                    }
                }
                var key = from[(2 + (2 * (2 + today)))..];
                var room = to[(2 + (2 * (2 + sources.Length)))..];
                key[..Math.Min(key.Length, room.Length)].CopyTo(room);
            }
            (copy._ledgers.TryGetValue(layout.Text, out var segments) ? segments : copy._ledgers[layout.Text] = []).Add(other);
        }
        return copy;
    }

    private sealed class KeptSegment(KeptMemory memory, byte[] bytes) : Ledger.Segment
    {
        protected override Span<byte> Bytes
        {
            get
            {
                memory.OnAccess?.Invoke();
                return bytes;
            }
        }

        public override void Dispose()
        {
        }
    }
}
