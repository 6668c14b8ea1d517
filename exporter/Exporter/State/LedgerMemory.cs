using System.Globalization;
using Exporter.Bpf;

namespace Exporter.State;

/// <summary>Memory of ledgers: each is a row of segments, known by the layout of its counters.</summary>
internal interface ILedgerMemory
{
    /// <summary>The layouts of the ledgers that are there.</summary>
    IReadOnlyList<MapLayout> Layouts { get; }

    /// <summary>Null where there is none.</summary>
    /// <param name="pages">As many as it was made with.</param>
    LedgerSegment? Open(MapLayout layout, int segment, int pages);

    /// <summary>One more, all of it zero.</summary>
    /// <exception cref="BpfException">There is no room, as <see cref="PinException"/>.</exception>
    LedgerSegment Create(MapLayout layout, int segment, int pages);

    /// <summary>A text that was written for a ledger; null where there is none.</summary>
    string? ReadNote(MapLayout layout, string name);

    /// <param name="text">At most 4095 bytes.</param>
    /// <exception cref="BpfException">It cannot be written.</exception>
    void WriteNote(MapLayout layout, string name, string text);

    void Remove(MapLayout layout);
}

/// <summary>The process's own, which ends with it.</summary>
internal sealed class OwnMemory : ILedgerMemory
{
    public IReadOnlyList<MapLayout> Layouts => [];

    public LedgerSegment? Open(MapLayout layout, int segment, int pages) => null;

    // The collector does not move it: pages that nothing was stored in take no memory.
    public LedgerSegment Create(MapLayout layout, int segment, int pages) => new OwnSegment(GC.AllocateArray<byte>(pages * MappedArray.ElementBytes, pinned: true));

    public string? ReadNote(MapLayout layout, string name) => null;

    public void WriteNote(MapLayout layout, string name, string text)
    {
    }

    public void Remove(MapLayout layout)
    {
    }
}

internal sealed class OwnSegment(byte[] bytes) : LedgerSegment
{
    internal override Span<byte> Bytes => bytes;

    public override void Dispose()
    {
    }
}

/// <summary>Pinned arrays, and beside each ledger's arrays a note of its layout.</summary>
/// <param name="beginning">Of the pins' names; no other pins' begin so.</param>
internal sealed class PinnedMemory(PinDirectory pins, string beginning = "ledger_") : ILedgerMemory
{
    private const string NoteEnd = "_layout";

    public IReadOnlyList<MapLayout> Layouts =>
    [
        .. pins.List()
            .Where(name => name.StartsWith(beginning, StringComparison.Ordinal) && name.EndsWith(NoteEnd, StringComparison.Ordinal))
            .Select(name => (Name: name, Layout: MapLayout.TryParse(pins.ReadNote(name))))
            // A foreign note's name does not match the digest of its content.
            .Where(note => note.Layout is { } layout && note.Name == Prefix(layout) + NoteEnd)
            .Select(note => note.Layout!),
    ];

    public LedgerSegment? Open(MapLayout layout, int segment, int pages) =>
        MappedArray.Open(pins, Name(layout, segment), pages) is { } array ? new PinnedSegment(array) : null;

    public LedgerSegment Create(MapLayout layout, int segment, int pages)
    {
        if (segment == 0)
        {
            // Before the segment: without a note, no process that has another layout finds it.
            Write(Prefix(layout) + NoteEnd, layout.Text);
        }
        return new PinnedSegment(MappedArray.Create(pins, Name(layout, segment), pages));
    }

    public string? ReadNote(MapLayout layout, string name) => pins.ReadNote($"{Prefix(layout)}_{name}");

    public void WriteNote(MapLayout layout, string name, string text) => Write($"{Prefix(layout)}_{name}", text);

    public void Remove(MapLayout layout)
    {
        // The note last: after a kill before that, the next process finds the rest.
        foreach (var name in pins.List().Where(name => name.StartsWith(Prefix(layout) + "_", StringComparison.Ordinal)).OrderBy(name => name.EndsWith(NoteEnd, StringComparison.Ordinal)))
        {
            pins.Remove(name);
        }
    }

    private void Write(string name, string text)
    {
        pins.Remove(name);
        pins.WriteNote(name, text);
    }

    private string Prefix(MapLayout layout) => beginning + layout.Name;

    private string Name(MapLayout layout, int segment) => $"{Prefix(layout)}_{segment.ToString(CultureInfo.InvariantCulture)}";
}

internal sealed class PinnedSegment(MappedArray array) : LedgerSegment
{
    internal override Span<byte> Bytes => array.Bytes;

    public override void Dispose() => array.Dispose();
}
