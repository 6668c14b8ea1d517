using System.Buffers;
using Exporter.Accounts;

namespace Exporter.Exposition;

/// <summary>
/// The pods' families as scrapes get them: written when the first scrape after a drain asks, at most once for each drain and format. Scrapes read
/// one text, while later ones are written; a text is written over when nothing reads it.
/// </summary>
internal sealed class PodsExposition(PodAccounts accounts)
{
    /// <summary>Texts of one format that are read at once. For another, the one that is read for longest is cut off.</summary>
    internal const int MaxTexts = 3;

    /// <summary>Bytes for which the first text of a format has room.</summary>
    private const int MinLength = 64 << 10;

    private readonly SnapshotWriter _writer = new(accounts);
    private readonly Lock _lock = new();
    private readonly List<Snapshot> _snapshots = [];
    private long? _last;

    /// <summary>The text of the last drain, which stays as it is until it is disposed.</summary>
    internal Snapshot Acquire(ExpositionFormat format)
    {
        lock (_lock)
        {
            var current = Find(format);
            current.Readers++;
            return current;
        }
    }

    /// <summary>
    /// The accounts have had their last drain, and others will have their records: scrapes that still come get this moment. Called before that.
    /// </summary>
    internal void Freeze()
    {
        lock (_lock)
        {
            foreach (var format in Enum.GetValues<ExpositionFormat>())
            {
                _ = Find(format);
            }
            _last = accounts.Rounds;
        }
    }

    private Snapshot Find(ExpositionFormat format)
    {
        var round = _last ?? accounts.Rounds;
        if (_snapshots.Find(snapshot => snapshot.Format == format && snapshot.Round == round) is { } current)
        {
            return current;
        }
        current = Prepare(format);
        _writer.Write(current.Output, format);
        // Half a text is not served again.
        (current.Round, current.IsZipped) = (round, false);
        return current;
    }

    /// <summary>An empty text that nothing reads.</summary>
    private Snapshot Prepare(ExpositionFormat format)
    {
        var texts = _snapshots.FindAll(snapshot => snapshot.Format == format);
        if (texts.Find(snapshot => snapshot.Readers == 0) is { } unread)
        {
            unread.Round = Snapshot.Unwritten;
            unread.Output.ResetWrittenCount();
            return unread;
        }
        if (texts.Count >= MaxTexts)
        {
            // Its readers keep it to themselves until they have ended.
            var oldest = texts.MinBy(snapshot => snapshot.Round)!;
            _snapshots.Remove(oldest);
            oldest.CutOff();
        }
        // As long as the others, so that it does not grow step by step, which leaves arrays for the collector.
        var added = new Snapshot(this, format, texts.Count > 0 ? texts.Max(snapshot => snapshot.Output.Capacity) : MinLength);
        _snapshots.Add(added);
        return added;
    }

    private void Release(Snapshot snapshot)
    {
        lock (_lock)
        {
            snapshot.Readers--;
        }
    }

    /// <summary>One text. Each <see cref="Acquire"/> is followed by one <see cref="Dispose"/>.</summary>
    /// <param name="length">Bytes for which it has room at first.</param>
    internal sealed class Snapshot(PodsExposition exposition, ExpositionFormat format, int length) : IDisposable
    {
        internal const long Unwritten = -1;

        private readonly CancellationTokenSource _cutOff = new();
        private readonly ZippedText _zipped = new();
        private readonly Lock _zipping = new();

        internal ReadOnlyMemory<byte> Text => Output.WrittenMemory;

        /// <summary>The same as the beginning of a gzip stream, which is made when it is first asked for.</summary>
        internal ZippedText Zipped
        {
            get
            {
                lock (_zipping)
                {
                    if (!IsZipped)
                    {
                        _zipped.Write(Text.Span);
                        IsZipped = true;
                    }
                    return _zipped;
                }
            }
        }

        /// <summary>Cancelled when readers have taken so long that too many later texts are read.</summary>
        internal CancellationToken IsCutOff => _cutOff.Token;

        internal ExpositionFormat Format => format;

        internal ArrayBufferWriter<byte> Output { get; } = new(length);

        internal long Round { get; set; } = Unwritten;

        internal int Readers { get; set; }

        internal bool IsZipped { get; set; }

        public void Dispose() => exposition.Release(this);

        /// <summary>Does not wait for the readers.</summary>
        internal void CutOff() => _ = _cutOff.CancelAsync();
    }
}
