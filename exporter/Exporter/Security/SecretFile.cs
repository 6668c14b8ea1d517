using Exporter.Health;

namespace Exporter.Security;

/// <summary>
/// The content of a file, or of some that belong together, as it is now or was a second ago. Content that cannot be used leaves the previous in
/// force.
/// </summary>
internal sealed class SecretFile<T>
    where T : class
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly IReadOnlyList<string> _paths;
    private readonly Func<IReadOnlyList<string>, T> _parse;
    private readonly TimeProvider _time;
    private readonly Action<string> _tellProblem;

    /// <summary>A caller that finds it taken uses the current content.</summary>
    private readonly Lock _lock = new();
    private long _lookedAt;
    private FileWatch _files = new();
    private T _current;

    /// <param name="tellProblem">Called once for each content that cannot be used.</param>
    /// <exception cref="FormatException">The content at the beginning cannot be used.</exception>
    internal SecretFile(IReadOnlyList<string> paths, Func<IReadOnlyList<string>, T> parse, TimeProvider time, Action<string> tellProblem)
    {
        (_paths, _parse, _time, _tellProblem) = (paths, parse, time, tellProblem);
        _lookedAt = time.GetTimestamp();
        _current = Parse();
    }

    internal T Current
    {
        get
        {
            if (_time.GetElapsedTime(Volatile.Read(ref _lookedAt)) >= Pause && _lock.TryEnter())
            {
                try
                {
                    Volatile.Write(ref _lookedAt, _time.GetTimestamp());
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

    /// <summary>Reads the files now, changed or not.</summary>
    internal void ReadAgain()
    {
        lock (_lock)
        {
            Volatile.Write(ref _lookedAt, _time.GetTimestamp());
            Reload();
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
            _tellProblem(e.Message);
        }
    }

    private T Parse() => _parse([.. _paths.Select(Read)]);

    private string Read(string path)
    {
        var content = _files.TryRead(path, out var problem) ?? throw new FormatException($"{path} cannot be read: {problem}");
        // It may begin with a byte order mark.
        using var text = new StreamReader(new MemoryStream(content));
        return text.ReadToEnd();
    }
}
