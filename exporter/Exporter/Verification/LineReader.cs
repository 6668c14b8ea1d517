namespace Exporter.Verification;

/// <summary>Reads a stream line by line into one buffer, which grows to the longest line and never above <see cref="MaxLineBytes"/>.</summary>
/// <param name="stream">The caller's.</param>
internal sealed class LineReader(Stream stream)
{
    /// <summary>A record has less than 2 KiB.</summary>
    internal const int MaxLineBytes = 1 << 20;

    private const int FirstBytes = 64 << 10;

    private static ReadOnlySpan<byte> ByteOrderMark => [0xef, 0xbb, 0xbf];

    private byte[] _buffer = new byte[FirstBytes];
    private int _start;
    private int _end;
    private bool _isEnded;
    private bool _isDropping;

    /// <summary>The line without its end, and the first one without a byte order mark; valid until the next one is read.</summary>
    internal ReadOnlyMemory<byte> Line { get; private set; }

    /// <summary>The number of the line, from 1.</summary>
    internal long Number { get; private set; }

    /// <summary>Whether the line is longer than <see cref="MaxLineBytes"/>; then only its end was kept.</summary>
    internal bool IsTooLong { get; private set; }

    /// <returns>False at the end of the stream.</returns>
    internal async ValueTask<bool> ReadAsync(CancellationToken cancellationToken)
    {
        var searched = 0;
        while (true)
        {
            var length = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (length >= 0)
            {
                Take(searched + length, ending: 1);
                return true;
            }
            searched = _end - _start;
            if (_isEnded)
            {
                if (searched == 0 && !_isDropping)
                {
                    return false;
                }
                Take(searched, ending: 0);
                return true;
            }
            if (MakeRoom())
            {
                searched = 0;
            }
            var read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
            _end += read;
            _isEnded = read == 0;
        }
    }

    private void Take(int length, int ending)
    {
        Line = _buffer.AsMemory(_start, length);
        _start += length + ending;
        Number++;
        if (Number == 1 && Line.Span.StartsWith(ByteOrderMark))
        {
            Line = Line[ByteOrderMark.Length..];
        }
        (IsTooLong, _isDropping) = (_isDropping, false);
    }

    /// <returns>Whether the beginning of a line that is too long was dropped.</returns>
    private bool MakeRoom()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }
        if (_end < _buffer.Length)
        {
            return false;
        }
        if (_buffer.Length < MaxLineBytes)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
            return false;
        }
        _end = 0;
        return _isDropping = true;
    }
}
