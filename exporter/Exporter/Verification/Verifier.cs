namespace Exporter.Verification;

/// <summary>
/// Verifies records of one sink, in any order and with repeats: whether all came that were issued and not lost, and their sums. Memory: 24 bytes for
/// each flow and rest record of a whole interval, about 80 for each record of an interval that is not whole and for each identity record, and the names of
/// pods and interfaces.
/// </summary>
internal sealed class Verifier
{
    /// <summary>The bad lines that are named.</summary>
    internal const int MaxBadLines = 10;

    private const int MaxFindings = 100;

    /// <summary>How a gzip file begins (RFC 1952), and no text does.</summary>
    private static ReadOnlySpan<byte> Gzip => [0x1f, 0x8b];

    private readonly RecordReader _record = new(RecordFields.Verified);
    private readonly Dictionary<(string Node, string Epoch), Observer> _observers = [];
    private readonly Dictionary<InterfaceKey, InterfaceSums> _sums = [];
    private readonly RecordIds _identities = new();
    private readonly Findings _badLines = new(MaxBadLines);
    private readonly Findings _differentIds = new(MaxFindings);
    private readonly Findings _problems = new(MaxFindings);
    private readonly Findings _notes = new(MaxFindings);
    private readonly long[] _distinct = new long[Enum.GetValues<Dataset>().Length];
    private long? _appended;
    private long _lines;
    private long _repeats;

    /// <summary>Reads one file or stream of JSON lines.</summary>
    /// <param name="name">For messages.</param>
    internal async Task ReadAsync(string name, Stream stream, CancellationToken cancellationToken)
    {
        var lines = new LineReader(stream);
        while (await lines.ReadAsync(cancellationToken))
        {
            if (lines.Number == 1 && lines.Line.Span.StartsWith(Gzip))
            {
                _problems.Add($"{name} is compressed with gzip: decompress it, as in zcat FILE | podnet-exporter flows verify --from=-");
                return;
            }
            Take(name, lines.Number, lines.Line.Span, lines.IsTooLong);
        }
    }

    /// <summary>Takes one record.</summary>
    /// <param name="name">Where it is, with <paramref name="number"/>, for messages.</param>
    internal void Take(string name, long number, ReadOnlySpan<byte> line) => Take(name, number, line, line.Length > LineReader.MaxLineBytes);

    /// <summary>Takes one record of a topic.</summary>
    /// <param name="appended">In the unit of <see cref="WholeSpan"/>.</param>
    internal void Take(string name, long number, ReadOnlySpan<byte> line, long appended)
    {
        _appended = appended;
        Take(name, number, line);
    }

    /// <summary>Checks the records that were read. To be called once.</summary>
    /// <param name="span">Of a topic; null: all that there is was read.</param>
    internal VerificationResult Finish(WholeSpan? span = null)
    {
        var cut = 0L;
        foreach (var observer in _observers.Values.OrderBy(observer => observer.Node, StringComparer.Ordinal).ThenBy(observer => observer.Begin))
        {
            var check = new ObserverCheck(observer, span, _problems, _notes);
            check.Run();
            cut += check.Cut;
        }
        if (cut > 0)
        {
            _notes.Add($"{cut} {(cut == 1 ? "interval is" : "intervals are")} not whole at the beginning or the end of the topic: other records of {(cut == 1 ? "it" : "them")} were deleted, or not written yet");
        }
        foreach (var node in _observers.Values.GroupBy(observer => observer.Node).Where(node => node.Count() > 1))
        {
            _notes.Add($"{node.Key} has {node.Count()} epochs: records that were lost between them are unknown");
        }
        if (RecordIds.CountShared(_observers.Values.SelectMany(observer => observer.Intervals.Values).Select(interval => interval.Ids)) is var shared and > 0)
        {
            _problems.Add($"{shared} {(shared == 1 ? "id is" : "ids are")} in two intervals");
        }
        return new(
            new(_lines, _distinct[(int)Dataset.Flow], _distinct[(int)Dataset.Rest], _distinct[(int)Dataset.Interval], _distinct[(int)Dataset.Identity], _repeats, _badLines.Count)
            {
                Nodes = _observers.Values.Select(observer => observer.Node).Distinct().Count(),
                Lost = _observers.Values.Aggregate(0ul, (sum, observer) => sum + observer.Lost),
            },
            _sums,
            [_badLines, _differentIds, _problems],
            _notes);
    }

    private void Take(string name, long number, ReadOnlySpan<byte> line, bool isTooLong)
    {
        if (!isTooLong && line.Trim(" \t\r"u8).IsEmpty)
        {
            return;
        }
        _lines++;
        if (isTooLong)
        {
            _badLines.Add($"{name}:{number} is longer than {LineReader.MaxLineBytes} bytes");
            return;
        }
        switch (_record.Read(line))
        {
            case LineOutcome.Bad:
                _badLines.Add($"{name}:{number} {_record.Reason}");
                break;
            case LineOutcome.Cut:
                // The writer ends such a line when it continues, and writes the record again or counts it as lost.
                _notes.Add($"{name}:{number} is cut off: its record is not counted");
                break;
            default:
                Count(name, number);
                break;
        }
    }

    private void Count(string name, long line)
    {
        switch (Add())
        {
            case IdOutcome.First:
                _distinct[(int)_record.Dataset]++;
                break;
            case IdOutcome.Repeat:
                _repeats++;
                break;
            default:
                _differentIds.Add($"{name}:{line} has the id of another record, but another time or other counts");
                break;
        }
    }

    private IdOutcome Add()
    {
        if (_record.Dataset == Dataset.Identity)
        {
            return _identities.Add(_record.Id, _record.Required(RecordField.Timestamp));
        }
        var key = (_record.Text(RecordField.Node)!, _record.Text(RecordField.Epoch)!);
        if (!_observers.TryGetValue(key, out var observer))
        {
            _observers.Add(key, observer = new(key.Item1, key.Item2));
        }
        var interval = observer.Open(_record);
        if (_appended is { } appended)
        {
            interval.NoteAppend(appended);
        }
        if (_record.Dataset == Dataset.Interval)
        {
            return interval.Close(_record, _problems) ? IdOutcome.Repeat : IdOutcome.First;
        }
        var outcome = interval.Add(_record);
        if (outcome == IdOutcome.First)
        {
            SumsOfRecord(key.Item1).Add(_record);
        }
        return outcome;
    }

    private InterfaceSums SumsOfRecord(string node)
    {
        var (space, pod) = _record.IsPodSource ? (RecordField.SourceNamespace, RecordField.SourcePod) : (RecordField.DestinationNamespace, RecordField.DestinationPod);
        var key = new InterfaceKey(node, _record.Text(space), _record.Text(pod), _record.Text(RecordField.InterfaceName)!, _record.Text(RecordField.InterfaceId)!);
        if (!_sums.TryGetValue(key, out var sums))
        {
            _sums.Add(key, sums = new());
        }
        return sums;
    }
}
