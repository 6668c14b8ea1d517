using System.Runtime.InteropServices;
using System.Text;
using Exporter.Bpf;
using Exporter.State;

namespace Exporter.Tests.Support;

/// <summary>Memory of ledgers as pins keep it: a test can end a process at any store, and open what it has left.</summary>
internal sealed class KeptMemory : ILedgerMemory
{
    private readonly Dictionary<string, List<byte[]>> _ledgers = [];
    private readonly Dictionary<(string Layout, string Name), string> _notes = [];

    /// <summary>Of a segment of the first two formats.</summary>
    private const int EarlierSegmentBytes = 128 * MappedArray.ElementBytes;

    /// <summary>How many segments there is room for.</summary>
    internal int Room { get; set; } = int.MaxValue;

    /// <summary>Called whenever the ledger asks for a record, which it does before each that it writes.</summary>
    internal Action? OnAccess { get; set; }

    internal int Segments => _ledgers.Values.Sum(segments => segments.Count);

    /// <summary>A ledger as some commit has left it: a line that is its layout, with tables one for each signal's note, and its segments.</summary>
    internal static KeptMemory Read(byte[] recording)
    {
        var memory = new KeptMemory();
        var rest = recording.AsSpan();
        var layout = MapLayout.Parse(ReadLine(ref rest));
        var hasTables = layout.Settings == "keys=2";
        foreach (var signal in hasTables ? layout.Counters : [])
        {
            memory.WriteNote(layout, signal.Split('=')[0], ReadLine(ref rest));
        }
        memory._ledgers[layout.Text] = [.. rest.ToArray().Chunk(hasTables ? LedgerSegments.Bytes : EarlierSegmentBytes)];
        return memory;

        static string ReadLine(ref Span<byte> rest)
        {
            var end = rest.IndexOf((byte)'\n');
            var line = Encoding.UTF8.GetString(rest[..end]);
            rest = rest[(end + 1)..];
            return line;
        }
    }

    public IReadOnlyList<MapLayout> Layouts => [.. _ledgers.Keys.Select(MapLayout.Parse)];

    public LedgerSegment? Open(MapLayout layout, int segment, int pages) =>
        _ledgers.TryGetValue(layout.Text, out var segments) && segment < segments.Count ? new KeptSegment(this, segments[segment]) : null;

    public LedgerSegment Create(MapLayout layout, int segment, int pages)
    {
        Assert.InRange(Encoding.UTF8.GetByteCount(layout.Text), 0, 4095);
        if (Segments >= Room)
        {
            throw new PinException("no room");
        }
        if (!_ledgers.TryGetValue(layout.Text, out var segments))
        {
            _ledgers[layout.Text] = segments = [];
        }
        Assert.Equal(segments.Count, segment);
        segments.Add(new byte[pages * MappedArray.ElementBytes]);
        return new KeptSegment(this, segments[segment]);
    }

    public string? ReadNote(MapLayout layout, string name) => _notes.GetValueOrDefault((layout.Text, name));

    public void WriteNote(MapLayout layout, string name, string text)
    {
        // As long as a symbolic link can be, which a note is.
        Assert.InRange(Encoding.UTF8.GetByteCount(text), 0, 4095);
        _notes[(layout.Text, name)] = text;
    }

    public void Remove(MapLayout layout)
    {
        _ledgers.Remove(layout.Text);
        foreach (var note in _notes.Keys.Where(note => note.Layout == layout.Text))
        {
            _notes.Remove(note);
        }
    }

    internal KeptMemory Copy()
    {
        var copy = new KeptMemory { Room = Room };
        foreach (var (layout, segments) in _ledgers)
        {
            copy._ledgers[layout] = [.. segments.Select(segment => segment.ToArray())];
        }
        copy.TakeNotes(this);
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
        both.TakeNotes(other);
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
        torn.TakeNotes(after);
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
                    former.Add(new byte[segments[segment].Length]);
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

    /// <summary>
    /// The same ledger as a program has written it whose counters are these: a reordering of today's, others missing, or more, which are not zero.
    /// </summary>
    internal KeptMemory As(params RowFields[] signals)
    {
        var other = new KeptMemory { Room = Room };
        var (from, to) = (Ledger.OpenIn(Copy()), Ledger.OpenIn(other, signals));
        lock (to.Lock)
        {
            foreach (var record in from.Restored)
            {
                var entry = to.Open(record.Kind, record.Key, null);
                foreach (var signal in signals)
                {
                    var today = from.Signals.Single(fields => fields.Name == signal.Name);
                    var row = record.ReadCommitted(today).ToArray();
                    if (row.Length > 0)
                    {
                        entry.Add(signal, [.. signal.Names.Select(name => today.Names.ToList().IndexOf(name) is >= 0 and var index ? row[index] : 999)]);
                    }
                }
            }
            to.Commit(from.CommittedMaps);
        }
        return other;
    }

    /// <summary>The same ledger as one of a format that this version does not know.</summary>
    internal KeptMemory OfFormat(string format)
    {
        var other = Copy();
        var layout = Assert.Single(other.Layouts);
        Assert.True(other._ledgers.Remove(layout.Text, out var segments));
        other._ledgers[(layout with { Settings = format }).Text] = segments;
        return other;
    }

    private void TakeNotes(KeptMemory other)
    {
        foreach (var (note, text) in other._notes)
        {
            _notes[note] = text;
        }
    }

    private sealed class KeptSegment(KeptMemory memory, byte[] bytes) : LedgerSegment
    {
        internal override Span<byte> Bytes
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
