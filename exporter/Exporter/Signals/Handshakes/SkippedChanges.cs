using System.Globalization;
using Exporter.Bpf;

namespace Exporter.Signals.Handshakes;

/// <summary>
/// Changes of sockets' states for which the kernel skipped the first program of a generation (recursion). Once it has skipped one, a second program is
/// attached, and nothing is missed any more. The first program stays pinned after it is detached, until its misses are in the ledger; a note beside
/// it has the misses from before the second was attached. Callers hold the lock of <see cref="HandshakePrograms"/>.
/// </summary>
/// <param name="pins">Null: nothing is pinned.</param>
/// <param name="pin">Pins a link of the current programs.</param>
internal sealed class SkippedChanges(PinDirectory? pins, Action<string> pin)
{
    internal const string FirstProgram = "podnet_tp_state";
    internal const string SecondProgram = "podnet_tp_state2";

    private const string ProgramsPart = "handshake_programs";
    private const string MissedEnd = "_missed";

    /// <summary>Misses of programs that count no more, until they are in the ledger.</summary>
    private readonly List<MissedChanges> _ended = [];

    /// <summary>The misses that were read last: of programs that have ended, and of the current ones.</summary>
    private MissedChanges[] _last = [];

    private AttachedPrograms? _current;

    /// <summary>Misses of the current programs from before the second was attached; null without a second.</summary>
    private ulong? _before;

    /// <summary>Null where nothing is pinned, or no other process would find it: another directory may be at its path.</summary>
    private PinDirectory? Pins => pins is { IsLost: false } ? pins : null;

    /// <summary>These programs count from now on. Misses of the ones before them wait to be committed.</summary>
    /// <exception cref="PinException">The first of them cannot be pinned; nothing has changed.</exception>
    internal void Begin(AttachedPrograms programs)
    {
        // With a second from the start, both were attached before the first of them counts.
        ulong? before = programs.Programs.Any(program => program.Name == SecondProgram) ? 0 : null;
        if (Pins is { } directory)
        {
            PinFirst(directory, programs, before);
        }
        else if (_current is { } previous && previous != programs)
        {
            _ended.Add(new(previous.Generation, ReadCurrent()));
        }
        (_current, _before) = (programs, before);
    }

    /// <summary>Finds programs of earlier processes, and programs that were replaced, whose misses are still pinned.</summary>
    internal void FindEnded()
    {
        if (Pins is not { } directory)
        {
            return;
        }
        _ended.Clear();
        var names = directory.List(ProgramsPart);
        foreach (var name in names)
        {
            if (name.EndsWith(MissedEnd, StringComparison.Ordinal)
                && ulong.TryParse(name[..^MissedEnd.Length], CultureInfo.InvariantCulture, out var noteOf)
                && noteOf != _current!.Generation
                && !names.Contains(name[..^MissedEnd.Length]))
            {
                // The process that removed the program was killed before it removed the note.
                directory.Remove(NoteOf(noteOf));
            }
            if (!ulong.TryParse(name, CultureInfo.InvariantCulture, out var generation) || generation == _current!.Generation)
            {
                continue;
            }
            var missed = ulong.TryParse(directory.ReadNote(NoteOf(generation)), CultureInfo.InvariantCulture, out var noted)
                ? noted
                : BpfProgram.ReadStatistics(directory, ProgramOf(generation))?.Misses ?? 0;
            if (missed == 0)
            {
                RemoveProgram(directory, generation);
            }
            else
            {
                _ended.Add(new(generation, missed));
            }
        }
    }

    /// <summary>Attaches the second program if the kernel has skipped the first, and reads the misses from before.</summary>
    /// <returns>Misses, also of earlier programs that <see cref="Forget"/> was not called for; valid until the next call.</returns>
    /// <exception cref="BpfException">The kernel refused, or the second cannot be pinned; the next call tries that again.</exception>
    internal ReadOnlySpan<MissedChanges> Read()
    {
        if (_before is null && ReadCurrent() > 0)
        {
            AttachSecond();
        }
        if (_before is not null && Pins is { } directory)
        {
            PinSecond(directory);
        }
        if (_last.Length != _ended.Count + 1)
        {
            _last = new MissedChanges[_ended.Count + 1];
        }
        _ended.CopyTo(_last);
        _last[^1] = new(_current!.Generation, ReadCurrent());
        return _last;
    }

    /// <summary>The misses that were read last are committed: misses of programs that count no more need not be read again.</summary>
    /// <exception cref="PinException">They stay pinned.</exception>
    internal void Forget()
    {
        for (var i = _ended.Count - 1; i >= 0; i--)
        {
            var ended = _ended[i];
            if (!_last.Contains(ended))
            {
                // It has ended since, or has missed more.
                continue;
            }
            if (Pins is { } directory)
            {
                RemoveProgram(directory, ended.Generation);
            }
            _ended.RemoveAt(i);
        }
    }

    /// <summary>Attaches the second program; <see cref="Read"/> pins it.</summary>
    internal void AttachSecond()
    {
        _current!.Attach([(SecondProgram, null)]);
        _before = _current.Programs[0].ReadStatistics().Misses;
    }

    private static string ProgramOf(ulong generation) => $"{ProgramsPart}/{generation.ToString(CultureInfo.InvariantCulture)}";

    private static string NoteOf(ulong generation) => ProgramOf(generation) + MissedEnd;

    private static void RemoveProgram(PinDirectory pins, ulong generation)
    {
        // The note last: without it all misses of the program would count, also those that the second has seen.
        pins.Remove(ProgramOf(generation));
        pins.Remove(NoteOf(generation));
    }

    /// <summary>Only of the tracepoint's first program, and as long as there is no second.</summary>
    private ulong ReadCurrent()
    {
        var state = _current!.Programs[0];
        return _before ?? (state.Name == FirstProgram ? state.ReadStatistics().Misses : 0);
    }

    private static void PinFirst(PinDirectory directory, AttachedPrograms programs, ulong? before)
    {
        if (programs.Programs[0].Name != FirstProgram)
        {
            return;
        }
        directory.MakePart(ProgramsPart);
        if (before is { } missed)
        {
            WriteMissed(directory, programs.Generation, missed);
        }
        directory.Pin(programs.Programs[0], ProgramOf(programs.Generation));
    }

    /// <summary>Pins the second program's link and writes the note, where they are not there yet.</summary>
    private void PinSecond(PinDirectory directory)
    {
        var isPinned = directory.Has(HandshakePrograms.PinOf(_current!.Generation, SecondProgram));
        if (isPinned && directory.ReadNote(NoteOf(_current.Generation)) is not null)
        {
            return;
        }
        if (!isPinned)
        {
            pin(SecondProgram);
        }
        directory.MakePart(ProgramsPart);
        WriteMissed(directory, _current.Generation, ReadCurrent());
    }

    private static void WriteMissed(PinDirectory directory, ulong generation, ulong missed)
    {
        if (directory.ReadNote(NoteOf(generation)) is null)
        {
            directory.WriteNote(NoteOf(generation), missed.ToString(CultureInfo.InvariantCulture));
        }
    }
}
