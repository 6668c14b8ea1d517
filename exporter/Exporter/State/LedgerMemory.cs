using System.Globalization;
using Exporter.Bpf;

namespace Exporter.State;

/// <summary>Where ledgers are: each is a row of segments, known by the layout of its counters.</summary>
internal interface ILedgerMemory
{
    /// <summary>Those of the ledgers that are there.</summary>
    IReadOnlyList<MapLayout> Layouts { get; }

    /// <summary>Null where there is none.</summary>
    Ledger.Segment? Open(MapLayout layout, int segment);

    /// <summary>One more, all of it zero.</summary>
    /// <exception cref="BpfException">There is no room, as <see cref="PinException"/>.</exception>
    Ledger.Segment Create(MapLayout layout, int segment);

    void Remove(MapLayout layout);
}

/// <summary>The process's own, which ends with it.</summary>
internal sealed class OwnMemory : ILedgerMemory
{
    public IReadOnlyList<MapLayout> Layouts => [];

    public Ledger.Segment? Open(MapLayout layout, int segment) => null;

    public Ledger.Segment Create(MapLayout layout, int segment) => new OwnSegment(Ledger.SegmentBytes);

    public void Remove(MapLayout layout)
    {
    }
}

internal sealed class OwnSegment(int bytes) : Ledger.Segment
{
    private readonly byte[] _bytes = new byte[bytes];

    protected override Span<byte> Bytes => _bytes;

    public override void Dispose()
    {
    }
}

/// <summary>Pinned arrays, and beside those of each ledger a note of its layout.</summary>
internal sealed class PinnedMemory(PinDirectory pins) : ILedgerMemory
{
    private const string Beginning = "ledger_";
    private const string NoteEnd = "_layout";

    public IReadOnlyList<MapLayout> Layouts =>
    [
        .. pins.List()
            .Where(name => name.StartsWith(Beginning, StringComparison.Ordinal) && name.EndsWith(NoteEnd, StringComparison.Ordinal))
            .Select(name => (Name: name, Layout: MapLayout.TryParse(pins.ReadNote(name))))
            // One that is none of ours has another name than its layout's.
            .Where(note => note.Layout is { } layout && note.Name == Prefix(layout) + NoteEnd)
            .Select(note => note.Layout!),
    ];

    public Ledger.Segment? Open(MapLayout layout, int segment) => MappedArray.Open(pins, Name(layout, segment), Ledger.SegmentBytes / MappedArray.ElementBytes) is { } array ? new PinnedSegment(array) : null;

    public Ledger.Segment Create(MapLayout layout, int segment)
    {
        if (segment == 0)
        {
            // Before the segment: one without a note is found by nobody who has another layout.
            pins.Remove(Prefix(layout) + NoteEnd);
            pins.WriteNote(Prefix(layout) + NoteEnd, layout.Text);
        }
        return new PinnedSegment(MappedArray.Create(pins, Name(layout, segment), Ledger.SegmentBytes / MappedArray.ElementBytes));
    }

    public void Remove(MapLayout layout)
    {
        // The note last: who is killed before that finds what is left.
        foreach (var name in pins.List().Where(name => name.StartsWith(Prefix(layout) + "_", StringComparison.Ordinal)).OrderBy(name => name.EndsWith(NoteEnd, StringComparison.Ordinal)))
        {
            pins.Remove(name);
        }
    }

    private static string Prefix(MapLayout layout) => Beginning + layout.Name;

    private static string Name(MapLayout layout, int segment) => $"{Prefix(layout)}_{segment.ToString(CultureInfo.InvariantCulture)}";
}

internal sealed class PinnedSegment(MappedArray array) : Ledger.Segment
{
    protected override Span<byte> Bytes => array.Bytes;

    public override void Dispose() => array.Dispose();
}
