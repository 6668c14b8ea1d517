using Exporter.Health;

namespace Exporter.Server.Security;

/// <summary>
/// The content of one or more files that belong together, at most about a second old. If new content cannot be used, the previous content stays in
/// use.
/// </summary>
internal sealed class SecretFile<T>
    where T : class
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly IReadOnlyList<string> _paths;
    private readonly Func<IReadOnlyList<string>, T> _parse;
    private readonly TimeProvider _time;
    private readonly Action<string> _reportProblem;

    /// <summary>Held during a check of the files. Callers that find it taken use the current content.</summary>
    private readonly Lock _lock = new();
    private long _checkedAt;
    private FileWatch _files = new();
    private T _current;

    /// <param name="reportProblem">Called once for each content that cannot be used.</param>
    /// <exception cref="FormatException">The first content cannot be used.</exception>
    internal SecretFile(IReadOnlyList<string> paths, Func<IReadOnlyList<string>, T> parse, TimeProvider time, Action<string> reportProblem)
    {
        (_paths, _parse, _time, _reportProblem) = (paths, parse, time, reportProblem);
        _checkedAt = time.GetTimestamp();
        _current = Parse();
    }

    internal T Current
    {
        get
        {
            if (_time.GetElapsedTime(Volatile.Read(ref _checkedAt)) >= Pause && _lock.TryEnter())
            {
                try
                {
                    Volatile.Write(ref _checkedAt, _time.GetTimestamp());
                    if (_files.HaveChanged())
                    {
                        Reload();
                    }
                }
                finally
                {
                    _lock.Exit();
                }
            }
            return Volatile.Read(ref _current);
        }
    }

    /// <summary>Reads the files now, changed or not, if they can be read again.</summary>
    internal void ReadAgain()
    {
        lock (_lock)
        {
            Volatile.Write(ref _checkedAt, _time.GetTimestamp());
            if (_paths.All(FileWatch.CanBeReadAgain))
            {
                Reload();
            }
        }
    }

    private void Reload()
    {
        _files = new();
        try
        {
            Volatile.Write(ref _current, Parse());
        }
        catch (FormatException e)
        {
            _reportProblem(e.Message);
        }
    }

    private T Parse() => _parse([.. _paths.Select(Read)]);

    private string Read(string path)
    {
        var content = _files.TryRead(path, out var problem) ?? throw new FormatException($"{path} cannot be read: {problem}");
        // StreamReader skips a byte order mark.
        using var text = new StreamReader(new MemoryStream(content));
        return text.ReadToEnd();
    }
}
