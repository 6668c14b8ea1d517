using Exporter.Bpf;
using Exporter.Bpf.Native;

namespace Exporter.Export;

/// <summary>
/// Appends lines to a file, which another one follows when it is full: PATH becomes PATH.1, PATH.1 becomes PATH.2, and the last one is removed. Acknowledged
/// lines are in the page cache, where the end of the process does not matter, and on the disk with File:Sync. No line is split; one that could be written in part is
/// cut off again, and one that a process left unfinished is ended.
/// </summary>
internal sealed partial class FileSink(FileSinkOptions options, ILogger logger) : IRecordSink, IDisposable
{
    internal const string SinkName = "file";

    /// <summary>For the owner to read and write, for the group to read.</summary>
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    private FileStream? _file;
    private FileIdentity? _identity;

    /// <summary>The batch that is written, and how many of its bytes are, in whole lines.</summary>
    private (ulong Batch, int Bytes) _done;

    public string Name => SinkName;

    public void Dispose() => Close();

    /// <summary>Writes on a thread of its own for the while: a disk may keep it waiting.</summary>
    public ValueTask WriteAsync(RecordBatch batch, CancellationToken cancellationToken) => new(Task.Run(() => Write(batch), CancellationToken.None));

    private void Write(RecordBatch batch)
    {
        _done = _done.Batch == batch.Number ? _done : (batch.Number, 0);
        try
        {
            var lines = batch.Lines.Span[_done.Bytes..];
            var file = OpenFile();
            var length = RandomAccess.GetLength(file.SafeFileHandle);
            if (length > 0 && length > options.MaxSize - lines.Length)
            {
                Rotate(file);
                file = OpenFile();
                length = RandomAccess.GetLength(file.SafeFileHandle);
            }
            Append(file, lines, length);
            if (options.Sync)
            {
                file.Flush(flushToDisk: true);
            }
        }
        catch (Exception e) when (IsOfFile(e))
        {
            Close();
            throw new SinkException(Explain(e), e);
        }
    }

    /// <summary>The file at the path: the one that is open, unless another program has moved or removed it.</summary>
    private FileStream OpenFile()
    {
        if (_file is { } open)
        {
            if (FileIdentity.Of(options.Path) == _identity)
            {
                return open;
            }
            Close();
            LogReopened(logger, options.Path);
        }
        _file = new(options.Path, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite | FileShare.Delete,
            BufferSize = 0,
            UnixCreateMode = Mode,
        });
        if (!_file.CanSeek)
        {
            throw new IOException("it is not a regular file; set File:Path to one, or to a path without a file");
        }
        // The sink of the session before may be within its last write still, which began where this one would.
        RawOutput.AppendAlways(_file.SafeFileHandle);
        _identity = FileIdentity.Of(_file.SafeFileHandle);
        EndLine(_file);
        return _file;
    }

    /// <summary>Ends a line that is unfinished.</summary>
    private void EndLine(FileStream file)
    {
        var length = RandomAccess.GetLength(file.SafeFileHandle);
        Span<byte> last = stackalloc byte[1];
        if (length > 0 && RandomAccess.Read(file.SafeFileHandle, last, length - 1) == 1 && last[0] != (byte)'\n')
        {
            RandomAccess.Write(file.SafeFileHandle, "\n"u8, length);
            LogEndedLine(logger, options.Path);
        }
    }

    /// <summary>Appends lines. If that fails, the lines that are written whole are noted, and the rest of them is cut off.</summary>
    private void Append(FileStream file, ReadOnlySpan<byte> lines, long length)
    {
        try
        {
            RandomAccess.Write(file.SafeFileHandle, lines, length);
        }
        catch (Exception e) when (IsOfFile(e))
        {
            var written = (int)Math.Clamp(RandomAccess.GetLength(file.SafeFileHandle) - length, 0, lines.Length);
            var whole = lines[..written].LastIndexOf((byte)'\n') + 1;
            if (whole < written)
            {
                // Where this fails too, the next opening ends the line.
                RandomAccess.SetLength(file.SafeFileHandle, length + whole);
            }
            _done.Bytes += whole;
            throw;
        }
    }

    /// <summary>
    /// Makes room at the path. Names move from the oldest to the newest, so a process that ends in between leaves a gap in the numbers and loses nothing; the next
    /// rotation fills the gap.
    /// </summary>
    private void Rotate(FileStream file)
    {
        if (options.Sync)
        {
            file.Flush(flushToDisk: true);
        }
        for (var beyond = options.MaxFiles; File.Exists(Numbered(beyond)); beyond++)
        {
            File.Delete(Numbered(beyond));
        }
        var last = 1;
        while (last < options.MaxFiles - 1 && File.Exists(Numbered(last)))
        {
            last++;
        }
        for (var number = last; number > 0; number--)
        {
            File.Move(Numbered(number - 1), Numbered(number), overwrite: true);
        }
        Close();
    }

    private string Numbered(int number) => number == 0 ? options.Path : FormattableString.Invariant($"{options.Path}.{number}");

    private void Close()
    {
        _file?.Dispose();
        _file = null;
    }

    /// <summary>EFBIG is an ArgumentOutOfRangeException of .NET, EINVAL a NotSupportedException.</summary>
    private static bool IsOfFile(Exception failure) => failure is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentOutOfRangeException;

    private string Explain(Exception failure) => failure switch
    {
        UnauthorizedAccessException => $"{options.Path} cannot be written by this user; give the user its directory, or set File:Path to a file elsewhere",
        DirectoryNotFoundException => $"the directory of {options.Path} is not there; create it",
        { HResult: Errno.ENOSPC or Errno.EDQUOT } => $"there is no room for {options.Path}; free some, or lower File:MaxSize or File:MaxFiles",
        ArgumentOutOfRangeException => $"{options.Path} is as long as its file system allows; lower File:MaxSize",
        _ => $"{options.Path} cannot be written: {PlainWords.Reason(failure)}",
    };

    [LoggerMessage(430, LogLevel.Information, "{Path} was moved or removed by another program; continuing in a new file")]
    private static partial void LogReopened(ILogger logger, string path);

    [LoggerMessage(431, LogLevel.Warning, "Ended the last line of {Path}, which was unfinished: a process ended while it wrote. Skip that line if it is not JSON; its record is sent again or counted as lost")]
    private static partial void LogEndedLine(ILogger logger, string path);
}
